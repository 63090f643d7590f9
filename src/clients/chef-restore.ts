import { createPublicKey } from 'node:crypto';
import { AppError } from '../errors.ts';
import { readObject } from './chef-answer.ts';
import type { ChefConnection } from './chef-connection.ts';
import { type ClientKey, clientKeys } from './chef-keys.ts';
import { isObject, type JsonObject } from './chef-node.ts';
import type { ChefSnapshot } from './chef-snapshot.ts';

/** A client as a snapshot has it. */
export interface SavedClient extends Pick<ChefSnapshot, 'clientKeys'> {
  client: string;
}

const NEVER_EXPIRES = 'infinity';

export async function restoreNode(server: ChefConnection, name: string, json: string): Promise<void> {
  if (parse(json)['name'] !== name) throw new AppError('rejected', `what was saved is not Chef node ${name}`);
  await post(server, ['nodes'], json);
}

export async function restoreClient(server: ChefConnection, name: string, saved: SavedClient): Promise<void> {
  const keys = savedKeys(saved);
  if (keys.length === 0) throw new AppError('rejected', `no public key of Chef client ${name} was saved`);
  const existing = await clientKeys(server, name);
  if (existing?.some(key => !keys.some(each => sameKey(each, key)))) {
    throw new AppError(
      'other-key',
      `Chef client ${name} exists with a key that was not saved: is it a new machine of this name? It was left alone`,
    );
  }
  const has = new Set((existing ?? [await createClient(server, name, saved, keys)]).map(key => key?.name));
  for (const key of keys) {
    if (!has.has(key.name)) await post(server, ['clients', name, 'keys'], { ...key });
  }
}

export async function hasKeyOf(
  server: ChefConnection,
  name: string,
  saved: SavedClient,
): Promise<boolean | undefined> {
  const existing = await clientKeys(server, name);
  const keys = savedKeys(saved);
  return existing?.some(key => keys.some(each => sameKey(each, key)));
}

/**
 * The key that comes with a new client is called `default` and never expires; one that does is made afterwards.
 * @returns that key
 */
async function createClient(
  server: ChefConnection,
  name: string,
  { client }: SavedClient,
  keys: ClientKey[],
): Promise<ClientKey | undefined> {
  const first = keys.find(key => key.name === 'default' && key.expiration_date === NEVER_EXPIRES);
  const { validator, admin } = parse(client);
  await post(server, ['clients'], {
    name,
    ...(first && { public_key: first.public_key }),
    ...(validator === true && { validator }),
    ...(admin === true && { admin }),
  });
  return first;
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

/** Whether two public keys are one, however each is written. */
function sameKey(one: ClientKey, other: ClientKey): boolean {
  return canonical(one.public_key) === canonical(other.public_key);
}

function canonical(pem: string): string {
  try {
    return createPublicKey(pem).export({ type: 'spki', format: 'pem' }).toString();
  } catch {
    return pem.trim();
  }
}

async function post(server: ChefConnection, target: string[], body: JsonObject | string): Promise<void> {
  const answer = await server.call({ method: 'POST', target, body });
  if (readObject(answer)) return;
  throw new AppError('conflict', `${answer.url.pathname} is missing: deleted meanwhile, or a wrong URL`);
}

function parse(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  return isObject(value) ? value : {};
}
