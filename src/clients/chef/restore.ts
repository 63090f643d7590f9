import { AppError } from '../../domain/errors.ts';
import { isObject, type JsonObject } from '../../domain/json.ts';
import { keyFingerprint } from '../../domain/key-fingerprint.ts';
import { readObject } from './answer.ts';
import type { ChefServer } from './connection.ts';
import { type ClientKey, clientKeys } from './keys.ts';
import type { ChefSnapshot } from './snapshot.ts';

/** A client as a snapshot has it. */
export interface SavedClient extends Pick<ChefSnapshot, 'clientKeys'> {
  client: string;
}

const NEVER_EXPIRES = 'infinity';

export async function restoreNode(server: ChefServer, name: string, json: string): Promise<void> {
  if (parse(json)['name'] !== name) throw new AppError('rejected', `what was saved is not Chef node ${name}`);
  await post(server, ['nodes'], json);
}

/**
 * Makes the client, or completes it, and proves it: its keys are read back, and what is missing is added. Some servers
 * (chef-zero) answer 201 to the client and forget its key.
 */
export async function restoreClient(
  server: ChefServer,
  name: string,
  saved: SavedClient,
): Promise<'restored' | 'no-key'> {
  const keys = savedKeys(saved);
  if (keys.length === 0) return 'no-key';
  let existing = await clientKeys(server, name);
  refuseForeign(name, keys, existing);
  if (!existing) {
    await createClient(server, name, saved, keys);
    existing = await clientKeys(server, name);
    refuseForeign(name, keys, existing);
  }
  const missing = without(keys, existing);
  if (missing.length === 0) return 'restored';
  for (const key of missing) await writeKey(server, name, key, existing);
  const after = await clientKeys(server, name);
  refuseForeign(name, keys, after);
  const left = without(keys, after).map(key => key.name);
  if (left.length === 0) return 'restored';
  throw new AppError(
    'conflict',
    `the Chef server took the saved keys of client ${name}, but does not show ${left.join(', ')}`,
  );
}

export async function hasKeyOf(
  server: ChefServer,
  name: string,
  saved: SavedClient,
): Promise<boolean | undefined> {
  const existing = await clientKeys(server, name);
  const keys = savedKeys(saved);
  return existing?.some(key => keys.some(each => isSameKey(each, key)));
}

/** The key that comes with a new client is called `default` and never expires; one that does is added afterwards. */
async function createClient(
  server: ChefServer,
  name: string,
  { client }: SavedClient,
  keys: ClientKey[],
): Promise<void> {
  const first = keys.find(key => key.name === 'default' && key.expiration_date === NEVER_EXPIRES);
  const { validator, admin } = parse(client);
  await post(server, ['clients'], {
    name,
    ...(first && { public_key: first.public_key }),
    ...(validator === true && { validator }),
    ...(admin === true && { admin }),
  });
}

/** A key that has this name already is one of the saved keys under another name, or with another date. */
async function writeKey(
  server: ChefServer,
  client: string,
  key: ClientKey,
  existing: ClientKey[] = [],
): Promise<void> {
  const target = ['clients', client, 'keys'];
  if (!existing.some(({ name }) => name === key.name)) return post(server, target, { ...key });
  const answer = await server.call({ method: 'PUT', target: [...target, key.name], body: { ...key } });
  if (!readObject(answer))
    throw new AppError('conflict', `key ${key.name} of ${client} was deleted meanwhile`);
}

/** @throws AppError `other-key` if a client has a key that is not among those saved */
function refuseForeign(name: string, keys: ClientKey[], existing: ClientKey[] = []): void {
  if (existing.every(key => keys.some(each => isSameKey(each, key)))) return;
  throw new AppError(
    'other-key',
    `Chef client ${name} exists with a key that was not saved: is it a new machine of this name? It was left alone`,
  );
}

/** The saved keys that a client does not have under the same name and with the same date. */
function without(keys: ClientKey[], existing: ClientKey[] = []): ClientKey[] {
  const isRestored = (key: ClientKey) =>
    existing.some(each => each.name === key.name && isSameKey(each, key) && isSameDate(each, key));
  return keys.filter(key => !isRestored(key));
}

function isSameDate({ expiration_date: one }: ClientKey, { expiration_date: other }: ClientKey): boolean {
  return one === other || Date.parse(one) === Date.parse(other);
}

/** The public keys that a snapshot has. A server without key lists (goiardi, Chef 11) has the one in the client itself. */
export function savedKeys({ client, clientKeys }: SavedClient): ClientKey[] {
  const { public_key } = parse(client);
  const texts = clientKeys.length > 0 ? clientKeys.map(parse) : [{ name: 'default', public_key }];
  return texts.flatMap(({ name, public_key, expiration_date = NEVER_EXPIRES }) =>
    typeof name === 'string' && typeof public_key === 'string'
      ? [{ name, public_key, expiration_date: String(expiration_date) }]
      : [],
  );
}

function isSameKey(one: ClientKey, other: ClientKey): boolean {
  return keyFingerprint(one.public_key) === keyFingerprint(other.public_key);
}

async function post(server: ChefServer, target: string[], body: JsonObject | string): Promise<void> {
  const answer = await server.call({ method: 'POST', target, body });
  if (readObject(answer)) return;
  throw new AppError('conflict', `${answer.url.pathname} is missing: deleted meanwhile, or a wrong URL`);
}

function parse(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  return isObject(value) ? value : {};
}
