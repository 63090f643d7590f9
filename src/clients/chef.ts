import { AppError } from '../errors.ts';
import { isNodeName } from '../names.ts';
import { type ChefAnswer, readJson, readNamed, readObject } from './chef-answer.ts';
import { ChefConnection, type ChefOptions } from './chef-connection.ts';
import { type ChefNode, isObject, type JsonObject } from './chef-node.ts';
import { nodeSearch } from './chef-search.ts';

/** A public key of a client, in the Chef server's words; `expiration_date` is `infinity` or ISO 8601. */
export interface ClientKey {
  name: string;
  public_key: string;
  expiration_date: string;
}

/** What the server has under one name; null for what it has not. */
export interface ChefSnapshot {
  node: string | null;
  client: string | null;
  clientKeys: string[];
}

/**
 * A Chef Infra Server, signed in as one client. Source: https://docs.chef.io/server/api_chef_server/
 * Every method throws AppError: `invalid` for a bad name, before any request; `unavailable` where trying later may help;
 * `credentials`, `permission`, `too-large` and `rejected` where the server refuses.
 */
export class ChefClient {
  readonly #server: ChefConnection;

  /** @throws AppError `invalid` where the URL, the client's name or its key cannot be used */
  constructor(options: ChefOptions) {
    this.#server = new ChefConnection(options);
  }

  async getNode(name: string): Promise<ChefNode | undefined> {
    return readNamed<ChefNode>(await this.#get('nodes', segment(name, 'node')), name);
  }

  async getClient(name: string): Promise<JsonObject | undefined> {
    return readNamed(await this.#get('clients', segment(name, 'client')), name);
  }

  /** All keys of a client, expired ones too; undefined where there is no such client. */
  async getClientKeys(name: string): Promise<ClientKey[] | undefined> {
    const client = segment(name, 'client');
    const answer = await this.#get('clients', client, 'keys');
    const list = readJson(answer);
    if (list === undefined) return undefined;
    // A server that keeps one key in the client itself (goiardi, Chef 11) answers with the client.
    if (!Array.isArray(list)) return [publicKey(readNamed(answer, client), 'default', client)];
    const keys = list.map(async (item: unknown) => {
      const key = segment(isObject(item) ? item['name'] : undefined, 'key');
      const found = readNamed(await this.#get('clients', client, 'keys', key), key);
      return found && publicKey(found, key, client);
    });
    return (await Promise.all(keys)).filter(key => key !== undefined);
  }

  async deleteNode(name: string): Promise<'deleted' | 'absent'> {
    return this.#delete('nodes', segment(name, 'node'));
  }

  /** Deletes the client with all its keys. */
  async deleteClient(name: string): Promise<'deleted' | 'absent'> {
    return this.#delete('clients', segment(name, 'client'));
  }

  /** @throws AppError `conflict` where the node exists */
  async createNode(node: ChefNode): Promise<void> {
    await this.#create('nodes', segment(node.name, 'node'), node);
  }

  async updateNode(node: ChefNode): Promise<'updated' | 'absent'> {
    const target = ['nodes', segment(node.name, 'node')];
    const answer = await this.#server.call({ method: 'PUT', target, body: node, repeatable: true });
    return readNamed(answer, node.name) ? 'updated' : 'absent';
  }

  /**
   * The server's answer, with the private key in it where the server made one (`create_key`).
   * @throws AppError `conflict` where the client exists
   */
  async createClient(client: JsonObject & { name: string }): Promise<JsonObject> {
    return this.#create('clients', segment(client.name, 'client'), client);
  }

  /**
   * Names of the nodes that the search index has under an attribute (`ec2.instance_id`) and its value. The index lags:
   * believe it only after getNode says the same.
   */
  findNodeNames(attribute: string, value: string): Promise<string[]> {
    return nodeSearch(this.#server, attribute, value);
  }

  /** Proves by one cheap request that the server can be reached and believes us, not what it lets us do. */
  async probe(): Promise<void> {
    const target = ['environments', '_default'];
    const answer = await this.#server.probe({ method: 'GET', target, repeatable: true });
    if (answer.status === 403 || readNamed(answer, '_default')) return;
    throw new AppError(
      'rejected',
      `${answer.url.href} is missing, and every organization of a Chef server has it`,
    );
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #get(...target: string[]): Promise<ChefAnswer> {
    return this.#server.call({ method: 'GET', target, repeatable: true });
  }

  async #delete(kind: 'nodes' | 'clients', name: string): Promise<'deleted' | 'absent'> {
    const answer = await this.#server.call({ method: 'DELETE', target: [kind, name], repeatable: true });
    return readNamed(answer, name) ? 'deleted' : 'absent';
  }

  async #create(kind: 'nodes' | 'clients', name: string, body: JsonObject): Promise<JsonObject> {
    const answer = await this.#server.call({ method: 'POST', target: [kind], body, repeatable: false });
    const created = readObject(answer);
    if (created) return created;
    throw new AppError('rejected', `${answer.url.href} is missing, so ${name} could not be created`);
  }
}

/**
 * The one way a name gets into a path. All its characters stand for themselves there (RFC 3986, pchar), and Chef servers
 * check the signature of the path as it was sent, so it is not percent-encoded.
 */
function segment(name: unknown, kind: 'node' | 'client' | 'key'): string {
  if (isNodeName(name)) return name;
  throw new AppError('invalid', `${JSON.stringify(name)} is no name of a Chef ${kind}`, { field: 'name' });
}

function publicKey(holder: JsonObject | undefined, name: string, client: string): ClientKey {
  const { public_key, expiration_date } = holder ?? {};
  if (typeof public_key !== 'string') {
    throw new AppError('rejected', `Chef server gave key ${name} of client ${client} without its public_key`);
  }
  return {
    name,
    public_key,
    expiration_date: typeof expiration_date === 'string' ? expiration_date : 'infinity',
  };
}
