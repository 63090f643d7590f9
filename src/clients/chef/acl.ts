import { AppError } from '../../domain/errors.ts';
import { isObject, type JsonObject } from '../../domain/json.ts';
import { readNamed, readObject } from './answer.ts';
import type { ChefServer } from './connection.ts';

export type AclOf = 'nodes' | 'clients';

/** `grant` last: a client that it does not name may not write the others any more. */
const PERMISSIONS = ['create', 'read', 'update', 'delete', 'grant'] as const;
type Permission = (typeof PERMISSIONS)[number];

/**
 * Who has a permission, as the Chef server writes it: `actors` are clients and users together.
 * Source: https://docs.chef.io/server/api_chef_server/ and oc_erchef, oc_chef_authz_acl.erl
 */
interface Entry {
  actors: string[];
  groups: string[];
}
type Acl = Record<Permission, Entry>;

/**
 * Gives an object the ACL that was saved; its own client is left out if it does not exist, as after a restore without a
 * saved key.
 * @param target `['nodes', 'web-1']`
 */
export async function restoreAcl(
  server: ChefServer,
  target: [AclOf, string],
  saved: string,
): Promise<string[] | undefined> {
  const current = await readAcl(server, target);
  if (!current) return undefined;
  const whole = parseAcl(JSON.parse(saved));
  if (!whole) throw new AppError('rejected', `the saved ACL of ${target.join('/')} is not an ACL`);
  const [, client] = target;
  const exists = readNamed(await server.get('clients', client), client) !== undefined;
  const wanted = exists ? whole : withoutActor(whole, client);
  const changed: string[] = [];
  for (const permission of PERMISSIONS) {
    if (sameEntry(current[permission], wanted[permission])) continue;
    if (await write(server, target, permission, wanted[permission])) continue;
    changed.push(permission);
    if (wanted[permission].actors.includes(client)) {
      await add(server, target, permission, current[permission], client);
    }
  }
  return changed;
}

/** Adds a client to some permissions, and leaves all else as it is. */
export async function allow(
  server: ChefServer,
  target: [AclOf, string],
  client: string,
  permissions: Permission[],
): Promise<'allowed' | 'no-acls'> {
  const current = await readAcl(server, target);
  if (!current) return 'no-acls';
  for (const permission of permissions) await add(server, target, permission, current[permission], client);
  return 'allowed';
}

async function add(
  server: ChefServer,
  target: [AclOf, string],
  permission: Permission,
  { actors, groups }: Entry,
  client: string,
): Promise<void> {
  if (actors.includes(client)) return;
  if (await write(server, target, permission, { actors: [...actors, client], groups })) return;
  throw new AppError(
    'rejected',
    `the Chef server does not give client ${client} ${permission} on ${target.join('/')}: does the client exist, and is there no user of the same name?`,
  );
}

/** False where the server does not know somebody named in the entry. */
async function write(
  server: ChefServer,
  target: [AclOf, string],
  permission: Permission,
  entry: Entry,
): Promise<boolean> {
  const answer = await server.call({
    method: 'PUT',
    target: [...target, '_acl', permission],
    body: { [permission]: entry },
  });
  if (answer.status === 400 || answer.status === 422) return false;
  if (readObject(answer)) return true;
  throw new AppError('conflict', `${target.join('/')} was deleted while its ACL was written`);
}

/** Undefined where the server has no ACLs, or not this object. */
async function readAcl(server: ChefServer, target: [AclOf, string]): Promise<Acl | undefined> {
  return parseAcl(readObject(await server.get(...target, '_acl')));
}

/** goiardi, which has no ACLs, answers some of these paths with the object itself. */
function parseAcl(json: unknown): Acl | undefined {
  const entries = PERMISSIONS.map(permission => [permission, isObject(json) && entry(json[permission])]);
  return entries.every(([, found]) => found) ? (Object.fromEntries(entries) as Acl) : undefined;
}

function entry(json: unknown): Entry | undefined {
  if (!isObject(json)) return undefined;
  return {
    actors: [...names(json, 'actors'), ...names(json, 'clients'), ...names(json, 'users')],
    groups: names(json, 'groups'),
  };
}

function names(json: JsonObject, field: string): string[] {
  const list = json[field];
  return Array.isArray(list) ? list.filter(name => typeof name === 'string') : [];
}

function withoutActor(acl: Acl, name: string): Acl {
  const entries = PERMISSIONS.map(permission => {
    const { actors, groups } = acl[permission];
    return [permission, { actors: actors.filter(actor => actor !== name), groups }];
  });
  return Object.fromEntries(entries) as Acl;
}

function sameEntry(one: Entry, other: Entry): boolean {
  const same = (a: string[], b: string[]) => a.toSorted().join('\n') === b.toSorted().join('\n');
  return same(one.actors, other.actors) && same(one.groups, other.groups);
}
