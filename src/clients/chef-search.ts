import { AppError } from '../errors.ts';
import { isNodeName } from '../names.ts';
import { readObject } from './chef-answer.ts';
import type { ChefConnection } from './chef-connection.ts';
import { isObject, type JsonObject } from './chef-node.ts';

/** Nodes of one page; chef-client asks for as many. */
const ROWS = 1000;

/**
 * Names of all nodes that the index has under an attribute and its value.
 * Source: partial search, https://docs.chef.io/server/api_chef_server/#searchindex
 */
export async function nodeSearch(
  server: ChefConnection,
  attribute: string,
  value: string,
): Promise<string[]> {
  const rows = await search(server, searchQuery(attribute, value), { name: ['name'] });
  return [...new Set(rows.map(row => row['name']).filter(isNodeName))];
}

/**
 * Attributes of all nodes that the index has, by the names given to their dotted paths; those a node lacks are null or
 * absent. A node that changes while the pages are read may be missed or come twice.
 */
export async function listNodes<K extends string>(
  server: ChefConnection,
  paths: Record<K, string>,
): Promise<({ name: string } & Partial<Record<K, unknown>>)[]> {
  const keys = Object.entries<string>(paths).map(([as, path]) => [as, path.split('.')]);
  const rows = await search(server, '*:*', { ...Object.fromEntries(keys), name: ['name'] });
  const byName = new Map(rows.map(row => [row['name'], row]));
  return [...byName.values()].filter(row => isNodeName(row['name'])) as Awaited<
    ReturnType<typeof listNodes<K>>
  >;
}

/** The rows of all pages. */
async function search(
  server: ChefConnection,
  q: string,
  attributes: Record<string, string[]>,
): Promise<JsonObject[]> {
  const found: JsonObject[] = [];
  for (let start = 0, total = 1; start < total; start += ROWS) {
    const answer = await server.call({
      method: 'POST',
      target: ['search', 'node'],
      query: { q, start: `${start}`, rows: `${ROWS}` },
      body: attributes,
    });
    const page = readObject(answer);
    if (!Array.isArray(page?.['rows']) || typeof page['total'] !== 'number') {
      throw new AppError('rejected', `Chef server did not answer the search for ${q} with rows and a total`);
    }
    if (page['rows'].length === 0) break;
    for (const row of page['rows']) if (isObject(row) && isObject(row['data'])) found.push(row['data']);
    total = page['total'];
  }
  return found;
}

/**
 * A query for one exact value, of words that need no care but for the colon, which the query language uses itself.
 * The index joins the keys of nested attributes with `_`. Source: https://docs.chef.io/chef_search/
 * @throws AppError `invalid` where the attribute or the value could read as anything else than one word
 */
function searchQuery(attribute: string, value: string): string {
  if (!/^\w[\w-]*(\.\w[\w-]*)*$/.test(attribute)) {
    throw new AppError('invalid', `${JSON.stringify(attribute)} is no Chef node attribute to search by`);
  }
  if (!/^[A-Za-z0-9][\w.:-]{0,254}$/.test(value) || /^(?:AND|OR|NOT)$/.test(value)) {
    throw new AppError('invalid', `${JSON.stringify(value)} is no value of ${attribute} to search for`);
  }
  return `${attribute.replaceAll('.', '_')}:${value.replaceAll(':', '\\:')}`;
}
