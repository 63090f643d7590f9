import { createHash, verify } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { ChefClient } from '../../src/clients/chef/client.ts';
import { Acl, type AclJson, type Actor, PERMISSIONS, type Permission } from './chef-acl.ts';
import { keyPair } from './chef-server.ts';

/**
 * A Chef server for what goiardi lacks: an organization, lists of keys, and ACLs that are enforced. It keeps nodes as
 * the text they came in, checks every signature (1.3), and notes what no Chef server would understand.
 * Source: https://docs.chef.io/server/api_chef_server/
 */
export interface ChefAclServer {
  /** With the organization. */
  url: string;
  adminName: string;
  adminKey: string;
  /** Signed in as the administrator. */
  chef: ChefClient;
  /** What was asked so far, without the organization: `PUT /nodes/web-1/_acl/read`. */
  requests: string[];
  /** What was asked and does not belong to a Chef server. */
  faults: string[];
  /** As an operator sees it; undefined where there is no such object. */
  acl: (kind: 'nodes' | 'clients', name: string) => AclJson | undefined;
  /** The text of a node as it came in. */
  nodeText: (name: string) => string | undefined;
  /** Answers 403 to a request, `PUT /nodes/web-1/_acl/read`, until it is ended. */
  refuse: (asked: string) => { end: () => void };
  stop: () => Promise<void>;
}

type Answer = [status: number, body: unknown];
interface Held {
  acl: Acl;
}
interface Client extends Actor, Held {}

const ORGANIZATION = '/organizations/acme';
const ADMIN = 'admin';

export interface ChefAclServerOptions {
  /** Answers 201 to a new client and forgets its key, as chef-zero 15 does. @default false */
  forgetsNewKeys?: boolean;
}

export async function startChefAclServer({
  forgetsNewKeys = false,
}: ChefAclServerOptions = {}): Promise<ChefAclServer> {
  const { publicKey, privateKey: adminKey } = keyPair();
  const key = { name: 'default', public_key: publicKey, expiration_date: 'infinity' };
  const admin: Actor = { name: ADMIN, keys: new Map([['default', key]]), groups: ['admins'] };
  const nodes = new Map<string, Held & { text: string }>();
  const clients = new Map<string, Client>();
  const requests: string[] = [];
  const faults: string[] = [];
  const refused = new Set<string>();
  const kinds = { nodes, clients } as const;
  const actorNamed = (name: string) => (name === ADMIN ? admin : clients.get(name));

  function route(
    actor: Actor,
    method: string,
    [kind = '', name, below, part]: string[],
    body: string,
  ): Answer {
    if (kind === 'environments') return [200, { name }];
    if (kind === 'search') return search(body);
    if (kind !== 'nodes' && kind !== 'clients') return [400, { error: [`no ${kind}`] }];
    if (name === undefined) return kind === 'nodes' ? createNode(actor, body) : createClient(actor, body);
    const object = kinds[kind].get(name);
    if (!object) return [404, { error: [`${kind} '${name}' not found`] }];
    const needed = below === '_acl' ? 'grant' : NEEDED[method];
    if (!needed || !object.acl.allows(actor, needed))
      return [403, { error: [`missing ${needed} permission`] }];
    if (below === '_acl') return method === 'GET' ? [200, object.acl] : setAcl(object.acl, part, body);
    if (kind === 'clients') return onClient(object as Client, method, below, part, body);
    if (method === 'PUT') nodes.set(name, { ...object, text: body });
    if (method === 'DELETE') nodes.delete(name);
    return [200, nodes.get(name)?.text ?? (object as { text: string }).text];
  }

  function createNode(actor: Actor, body: string): Answer {
    const { name } = JSON.parse(body);
    if (nodes.has(name)) return [409, { error: ['Node already exists'] }];
    nodes.set(name, { text: body, acl: new Acl(actor) });
    return [201, { uri: name }];
  }

  function createClient(actor: Actor, body: string): Answer {
    if (!actor.groups.includes('admins')) return [403, { error: ['missing create permission'] }];
    const { name, public_key } = JSON.parse(body);
    if (clients.has(name)) return [409, { error: ['Client already exists'] }];
    const keys: Client['keys'] = new Map();
    if (public_key && !forgetsNewKeys)
      keys.set('default', { name: 'default', public_key, expiration_date: 'infinity' });
    clients.set(name, { name, keys, groups: ['clients'], acl: new Acl(actor) });
    return [201, { uri: name }];
  }

  function onClient(
    client: Client,
    method: string,
    below: string | undefined,
    part: string | undefined,
    body: string,
  ): Answer {
    const { name, keys } = client;
    if (below === 'keys' && method === 'POST') {
      const made = JSON.parse(body);
      if (keys.has(made.name)) return [409, { error: ['key already exists'] }];
      if (!isDate(made.expiration_date)) return [400, { error: ['invalid expiration_date'] }];
      keys.set(made.name, made);
      return [201, { uri: made.name }];
    }
    if (below === 'keys' && part !== undefined && method === 'PUT' && keys.has(part)) {
      keys.set(part, JSON.parse(body));
      return [200, keys.get(part)];
    }
    if (below === 'keys' && part !== undefined)
      return keys.has(part) ? [200, keys.get(part)] : [404, { error: [`no key ${part}`] }];
    if (below === 'keys')
      return [
        200,
        [...keys.values()].map(key => ({ uri: key.name, name: key.name, expired: isExpired(key) })),
      ];
    if (method === 'DELETE') {
      clients.delete(name);
      for (const { acl } of [...nodes.values(), ...clients.values()]) acl.forget(client);
    }
    return [
      200,
      {
        name,
        clientname: name,
        validator: false,
        orgname: 'acme',
        json_class: 'Chef::ApiClient',
        chef_type: 'client',
      },
    ];
  }

  function setAcl(acl: Acl, part: string | undefined, body: string): Answer {
    const permission = PERMISSIONS.find(each => each === part);
    const { actors, groups } = permission ? (JSON.parse(body)[permission] ?? {}) : {};
    if (!permission || !Array.isArray(actors) || !Array.isArray(groups))
      return [400, { error: ['invalid ACL'] }];
    const found = actors.map(actorNamed);
    const known = found.filter(actor => actor !== undefined);
    const unknownGroups = groups.filter(group => !['admins', 'clients', 'users'].includes(group));
    if (known.length < found.length || unknownGroups.length > 0)
      return [400, { error: ['Invalid/missing actor or group'] }];
    acl.set(permission, known, groups);
    return [200, {}];
  }

  function search(query: string): Answer {
    const rows = [...nodes].filter(([, { text }]) => JSON.parse(text).automatic?.ec2?.instance_id === query);
    return [
      200,
      { total: rows.length, start: 0, rows: rows.map(([name]) => ({ url: name, data: { name } })) },
    ];
  }

  function answer(request: IncomingMessage, body: string): Answer {
    const url = new URL(request.url ?? '', 'http://stand-in');
    const path = url.pathname.replace(ORGANIZATION, '');
    const asked = `${request.method} ${path}`;
    requests.push(asked);
    if (!url.pathname.startsWith(`${ORGANIZATION}/`)) {
      faults.push(asked);
      return [404, 'not a Chef server'];
    }
    const actor = actorNamed(String(request.headers['x-ops-userid']));
    if (!actor || !isSignedBy(actor, request, url.pathname, body)) {
      return [401, { error: ['Failed to authenticate: wrong signature'] }];
    }
    if (refused.has(asked)) return [403, { error: ['missing permission'] }];
    const about = path.startsWith('/search/') ? (url.searchParams.get('q') ?? '').split(':')[1] : body;
    const found = route(actor, request.method ?? '', path.slice(1).split('/'), about ?? '');
    if (found[0] === 400) faults.push(asked);
    return found;
  }

  const server = createServer(async (request, response) => {
    const [status, body] = answer(request, await text(request));
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${ORGANIZATION}`;
  const chef = new ChefClient({ url, clientName: ADMIN, key: adminKey });
  return {
    url,
    adminName: ADMIN,
    adminKey,
    chef,
    requests,
    faults,
    acl: (kind, name) => kinds[kind].get(name)?.acl.toJSON(),
    nodeText: name => nodes.get(name)?.text,
    refuse(asked) {
      refused.add(asked);
      return { end: () => refused.delete(asked) };
    },
    async stop() {
      await chef.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

const NEEDED: Record<string, Permission> = { GET: 'read', PUT: 'update', POST: 'update', DELETE: 'delete' };

/** By the text of the protocol, and by any key of the actor that has not expired. */
function isSignedBy(
  { keys }: Actor,
  { method, headers }: IncomingMessage,
  path: string,
  body: string,
): boolean {
  const hash = createHash('sha256').update(body).digest('base64');
  const signed =
    `Method:${method}\nPath:${path}\nX-Ops-Content-Hash:${hash}\nX-Ops-Sign:version=1.3\n` +
    `X-Ops-Timestamp:${headers['x-ops-timestamp']}\nX-Ops-UserId:${headers['x-ops-userid']}\n` +
    `X-Ops-Server-API-Version:${headers['x-ops-server-api-version']}`;
  const lines = [1, 2, 3, 4, 5, 6].map(line => headers[`x-ops-authorization-${line}`] ?? '');
  const signature = Buffer.from(lines.join(''), 'base64');
  const late = Math.abs(Date.now() - Date.parse(String(headers['x-ops-timestamp'])));
  return (
    late < 900_000 &&
    [...keys.values()].some(
      key => !isExpired(key) && verify('sha256', Buffer.from(signed), key.public_key, signature),
    )
  );
}

function isExpired({ expiration_date }: { expiration_date: string }): boolean {
  return expiration_date !== 'infinity' && Date.parse(expiration_date) < Date.now();
}

function isDate(value: unknown): boolean {
  return (
    value === 'infinity' || (typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value))
  );
}
