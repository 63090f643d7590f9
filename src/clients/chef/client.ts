import type { ChefNode } from '../../domain/chef-node.ts';
import { AppError } from '../../domain/errors.ts';
import type { JsonObject } from '../../domain/json.ts';
import { type AclOf, allow, restoreAcl } from './acl.ts';
import { readNamed, readObject } from './answer.ts';
import { ChefConnection, type ChefOptions, type ChefServer, pathSegment } from './connection.ts';
import { type ClientIdentity, type ClientKey, clientIdentity, clientKeys } from './keys.ts';
import { type ListedAttributes, listNodes } from './list.ts';
import { hasKeyOf, restoreClient, restoreNode, type SavedClient } from './restore.ts';
import { nodeSearch } from './search.ts';
import { type ChefSnapshot, takeSnapshot } from './snapshot.ts';

export interface ChangeOptions {
  /** Called synchronously right before each change is written; if it throws, the change is not sent, and the call rejects with the same error. */
  beforeSend?: () => void;
}

/**
 * A Chef Infra Server, signed in as one client. Source: https://docs.chef.io/server/api_chef_server/
 * Every method throws AppError: `invalid` for a bad name, before any request; `unavailable` where trying later may help;
 * `credentials`, `permission`, `too-large` and `rejected` where the server refuses.
 */
export class ChefClient {
  /** The client or user that signs. */
  readonly clientName: string;
  readonly #server: ChefConnection;

  /** @throws AppError `invalid` where the URL, the client's name or its key cannot be used */
  constructor(options: ChefOptions) {
    this.clientName = options.clientName;
    this.#server = new ChefConnection(options);
  }

  async getNode(name: string): Promise<ChefNode | undefined> {
    return readNamed<ChefNode>(await this.#server.get('nodes', pathSegment(name, 'node')), name);
  }

  async getClient(name: string): Promise<JsonObject | undefined> {
    return readNamed(await this.#server.get('clients', pathSegment(name, 'client')), name);
  }

  /** All keys of a client, expired ones too; undefined if there is no such client. */
  async getClientKeys(name: string): Promise<ClientKey[] | undefined> {
    return clientKeys(this.#server, pathSegment(name, 'client'));
  }

  /** What tells a client from another one of its name, for checks before it is deleted; undefined if there is no such client. */
  async clientIdentity(name: string): Promise<ClientIdentity | undefined> {
    return clientIdentity(this.#server, pathSegment(name, 'client'));
  }

  /** Everything the server has of a host, to be kept before it is deleted. */
  async snapshot(name: string): Promise<ChefSnapshot> {
    return takeSnapshot(this.#server, pathSegment(name, 'node'));
  }

  /** @throws AppError `unavailable` if the answer is lost: the node may be deleted or not, and the DELETE is not sent again */
  async deleteNode(name: string, options?: ChangeOptions): Promise<'deleted' | 'absent'> {
    return this.#delete(['nodes', pathSegment(name, 'node')], name, options);
  }

  /** Deletes the client with all its keys; otherwise as deleteNode. */
  async deleteClient(name: string, options?: ChangeOptions): Promise<'deleted' | 'absent'> {
    return this.#delete(['clients', pathSegment(name, 'client')], name, options);
  }

  /** @throws AppError `conflict` where the node exists */
  async createNode(node: ChefNode, options?: ChangeOptions): Promise<void> {
    await this.#create('nodes', pathSegment(node.name, 'node'), node, options);
  }

  async updateNode(node: ChefNode): Promise<'updated' | 'absent'> {
    const target = ['nodes', pathSegment(node.name, 'node')];
    const answer = await this.#server.call({ method: 'PUT', target, body: node });
    return readNamed(answer, node.name) ? 'updated' : 'absent';
  }

  /**
   * The server's answer, with the private key in it where the server made one (`create_key`).
   * @throws AppError `conflict` where the client exists
   */
  async createClient(client: JsonObject & { name: string }): Promise<JsonObject> {
    return this.#create('clients', pathSegment(client.name, 'client'), client);
  }

  /**
   * Makes a node of the JSON text that a snapshot has, byte for byte.
   * @throws AppError `conflict` where the node exists, `rejected` where the text is of another node
   */
  async restoreNode(name: string, json: string, options?: ChangeOptions): Promise<void> {
    await restoreNode(this.#checked(options), pathSegment(name, 'node'), json);
  }

  /**
   * Makes a client with the public keys that a snapshot has, or completes one that has only some of them, and reads them
   * back, so that the host's private key works again.
   * @returns `no-key` if the snapshot has no key: then nothing is made, since nobody could use the client
   * @throws AppError `other-key` if a client of this name has another key
   */
  async restoreClient(
    name: string,
    saved: SavedClient,
    options?: ChangeOptions,
  ): Promise<'restored' | 'no-key'> {
    return restoreClient(this.#checked(options), pathSegment(name, 'client'), saved);
  }

  /** Whether a client has one of the keys that a snapshot has of it; undefined if there is no such client. */
  async hasKeyOf(name: string, saved: SavedClient): Promise<boolean | undefined> {
    return hasKeyOf(this.#server, pathSegment(name, 'client'), saved);
  }

  /**
   * Gives a node or client the ACL that a snapshot has.
   * @returns the permissions that the server did not take as they were, since somebody named in them is gone: there only
   * the client `name` has got back what it had; undefined where the server has no ACLs
   */
  async restoreAcl(
    kind: AclOf,
    name: string,
    acl: string,
    options?: ChangeOptions,
  ): Promise<string[] | undefined> {
    return restoreAcl(this.#checked(options), [kind, pathSegment(name, 'node')], acl);
  }

  /** Lets the client of a node read and save it, as chef-client does; `no-acls` where the server has none. */
  async allowOwnClient(node: string, options?: ChangeOptions): Promise<'allowed' | 'no-acls'> {
    const name = pathSegment(node, 'node');
    return allow(this.#checked(options), ['nodes', name], name, ['read', 'update']);
  }

  /**
   * Names of the nodes that the search index has under an attribute (`ec2.instance_id`) and its value. The index lags:
   * use it only after getNode says the same.
   * @throws AppError `unavailable` if the server shows fewer nodes than it counts
   */
  findNodeNames(attribute: string, value: string): Promise<string[]> {
    return nodeSearch(this.#server, attribute, value);
  }

  /** Attributes of all nodes, however many there are: `listNodes({ instance: 'ec2.instance_id' })`. */
  listNodes<K extends string>(paths: Record<K, string>): Promise<ListedAttributes<K>[]> {
    return listNodes(this.#server, paths);
  }

  /** Proves by one cheap request that the server can be reached and accepts our key, not what it lets us do. */
  probe(): Promise<void> {
    return this.#server.probe();
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  async #delete(target: string[], name: string, options: ChangeOptions = {}): Promise<'deleted' | 'absent'> {
    const answer = await this.#server.call({ method: 'DELETE', target, ...options });
    return readNamed(answer, name) ? 'deleted' : 'absent';
  }

  async #create(
    kind: 'nodes' | 'clients',
    name: string,
    body: JsonObject,
    options?: ChangeOptions,
  ): Promise<JsonObject> {
    const answer = await this.#checked(options).call({ method: 'POST', target: [kind], body });
    const created = readObject(answer);
    if (created) return created;
    throw new AppError('rejected', `${answer.url.href} is missing, so ${name} could not be created`);
  }

  #checked(options: ChangeOptions | undefined): ChefServer {
    return this.#server.checkedBy(options?.beforeSend);
  }
}
