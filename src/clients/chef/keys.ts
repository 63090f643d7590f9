import { AppError } from '../../domain/errors.ts';
import { isObject, type JsonObject } from '../../domain/json.ts';
import { keyFingerprint } from '../../domain/key-fingerprint.ts';
import { type ChefAnswer, readJson, readNamed } from './answer.ts';
import { type ChefServer, pathSegment } from './connection.ts';

/** A public key of a client, in the Chef server's words; `expiration_date` is `infinity` or ISO 8601. */
export interface ClientKey {
  name: string;
  public_key: string;
  expiration_date: string;
}

/** What tells one client from another of the same name, and from a client that belongs to no host. */
export interface ClientIdentity {
  /** Whether new hosts register with it (`chef-validator`, `ORG-validator`). */
  validator: boolean;
  /** All keys, expired ones too. */
  keys: ClientKey[];
  /** `keyFingerprint` of each key, sorted, without duplicates. */
  fingerprints: string[];
}

/** All keys of a client, expired ones too; undefined if there is no such client. */
export async function clientKeys(server: ChefServer, client: string): Promise<ClientKey[] | undefined> {
  const list = await server.get('clients', client, 'keys');
  const answers = await keyAnswers(server, list);
  return answers && readKeys(list, answers);
}

/** As clientKeys, each as the server sent it; none of a server that keeps the key in the client. */
export async function clientKeyTexts(server: ChefServer, client: string): Promise<string[]> {
  const answers = await keyAnswers(server, await server.get('clients', client, 'keys'));
  return answers === undefined || answers === 'in the client' ? [] : answers.map(answer => answer.text);
}

/** Undefined if there is no such client. One request to a server that keeps the key in the client, else one for each key and two more. */
export async function clientIdentity(server: ChefServer, name: string): Promise<ClientIdentity | undefined> {
  const list = await server.get('clients', name, 'keys');
  const client = Array.isArray(readJson(list)) ? server.get('clients', name) : list;
  const [answers, answer] = await Promise.all([keyAnswers(server, list), client]);
  const object = readNamed(answer, name);
  if (!answers || !object) return undefined;
  const keys = readKeys(list, answers);
  const fingerprints = [...new Set(keys.map(key => keyFingerprint(key.public_key)))].sort();
  return { validator: isValidator(object), keys, fingerprints };
}

type KeyAnswers = ChefAnswer[] | 'in the client';

async function keyAnswers(server: ChefServer, list: ChefAnswer): Promise<KeyAnswers | undefined> {
  const keys = readJson(list);
  if (keys === undefined) return undefined;
  const client = list.target[1] ?? '';
  if (!Array.isArray(keys)) {
    readNamed(list, client);
    return 'in the client';
  }
  const found = keys.map(async (item: unknown) => {
    const key = pathSegment(isObject(item) ? item['name'] : undefined, 'key');
    const answer = await server.get('clients', client, 'keys', key);
    return readNamed(answer, key) && answer;
  });
  const answers = (await Promise.all(found)).filter(answer => answer !== undefined);
  // None of those listed is left: the client itself may have been deleted meanwhile.
  const isGone = keys.length > 0 && answers.length === 0;
  if (isGone && !readNamed(await server.get('clients', client), client)) return undefined;
  return answers;
}

/** A server that keeps one key in the client itself (goiardi, Chef 11) answers with the client. */
function readKeys(list: ChefAnswer, answers: KeyAnswers): ClientKey[] {
  if (answers === 'in the client') return [readKey(list, list.target[1] ?? '', 'default')];
  return answers.map(answer => readKey(answer, nameOf(answer), nameOf(answer)));
}

function readKey(answer: ChefAnswer, holder: string, name: string): ClientKey {
  const key: JsonObject = readNamed(answer, holder) ?? {};
  const { public_key, expiration_date = 'infinity' } = key;
  if (typeof public_key === 'string') return { name, public_key, expiration_date: String(expiration_date) };
  throw new AppError('rejected', `${answer.url.href} gave key ${name} without its public_key`);
}

/** A server that does not say it names validators as Chef does: `chef-validator`, `ORG-validator`. */
function isValidator({ name, validator }: JsonObject & { name: string }): boolean {
  return typeof validator === 'boolean' ? validator : name.endsWith('-validator');
}

function nameOf({ target }: ChefAnswer): string {
  return target.at(-1) ?? '';
}
