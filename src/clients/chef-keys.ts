import { AppError } from '../errors.ts';
import { type ChefAnswer, readJson, readNamed } from './chef-answer.ts';
import { type ChefConnection, segment } from './chef-connection.ts';
import { isObject, type JsonObject } from './chef-node.ts';

/** A public key of a client, in the Chef server's words; `expiration_date` is `infinity` or ISO 8601. */
export interface ClientKey {
  name: string;
  public_key: string;
  expiration_date: string;
}

/** All keys of a client, expired ones too; undefined where there is no such client. */
export async function clientKeys(server: ChefConnection, client: string): Promise<ClientKey[] | undefined> {
  const list = await server.get('clients', client, 'keys');
  const answers = await keyAnswers(server, list);
  // A server that keeps one key in the client itself (goiardi, Chef 11) answers with the client.
  if (answers === 'in the client') return [readKey(list, client, 'default')];
  return answers?.map(answer => readKey(answer, nameOf(answer), nameOf(answer)));
}

/** As clientKeys, each as the server sent it; none of a server that keeps the key in the client. */
export async function clientKeyTexts(server: ChefConnection, client: string): Promise<string[]> {
  const answers = await keyAnswers(server, await server.get('clients', client, 'keys'));
  return answers === undefined || answers === 'in the client' ? [] : answers.map(answer => answer.text);
}

async function keyAnswers(
  server: ChefConnection,
  list: ChefAnswer,
): Promise<ChefAnswer[] | 'in the client' | undefined> {
  const keys = readJson(list);
  if (keys === undefined) return undefined;
  const client = list.target[1] ?? '';
  if (!Array.isArray(keys)) {
    readNamed(list, client);
    return 'in the client';
  }
  const found = keys.map(async (item: unknown) => {
    const key = segment(isObject(item) ? item['name'] : undefined, 'key');
    const answer = await server.get('clients', client, 'keys', key);
    return readNamed(answer, key) && answer;
  });
  return (await Promise.all(found)).filter(answer => answer !== undefined);
}

function readKey(answer: ChefAnswer, holder: string, name: string): ClientKey {
  const key: JsonObject = readNamed(answer, holder) ?? {};
  const { public_key, expiration_date = 'infinity' } = key;
  if (typeof public_key === 'string') return { name, public_key, expiration_date: String(expiration_date) };
  throw new AppError('rejected', `${answer.url.href} gave key ${name} without its public_key`);
}

function nameOf({ target }: ChefAnswer): string {
  return target.at(-1) ?? '';
}
