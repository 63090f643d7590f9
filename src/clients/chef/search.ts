import { AppError } from '../../domain/errors.ts';
import { isNodeName } from '../../domain/identifiers.ts';
import { isObject, type JsonObject } from '../../domain/json.ts';
import { readObject } from './answer.ts';
import type { ChefServer } from './connection.ts';

/** Nodes of one page; chef-client asks for as many. */
export const ROWS = 1000;

/**
 * Names of all nodes that the index has under an attribute and its value.
 * Source: partial search, https://docs.chef.io/server/api_chef_server/#searchindex
 * @throws AppError `unavailable` if the server does not show all nodes that it counts, `rejected` for an odd answer:
 * neither may read as "none"
 */
export async function nodeSearch(server: ChefServer, attribute: string, value: string): Promise<string[]> {
  const q = searchQuery(attribute, value);
  const found = new Set<unknown>();
  let counted = 0;
  let isFull = true;
  // Some servers count only the nodes of the page, so a full page is never the last.
  for (let start = 0; isFull; start += ROWS) {
    const { rows, total } = await searchPage(server, q, start, { name: ['name'] });
    for (const row of rows) found.add(row['name']);
    counted = Math.max(counted, total);
    isFull = rows.length >= ROWS;
  }
  const names = [...found].filter(isNodeName);
  if (names.length < found.size) throw oddAnswer(q, 'with a row that names no node');
  if (names.length < counted) throw incomplete(q, names.length, counted);
  return names;
}

/** One page of a search. @throws AppError `rejected` if the answer is not one */
export async function searchPage(
  server: ChefServer,
  q: string,
  start: number,
  attributes: Record<string, string[]>,
): Promise<{ rows: JsonObject[]; total: number }> {
  const answer = await server.call({
    method: 'POST',
    target: ['search', 'node'],
    query: { q, start: `${start}`, rows: `${ROWS}` },
    body: attributes,
  });
  const { rows, total } = readObject(answer) ?? {};
  if (!Array.isArray(rows) || !Number.isInteger(total)) throw oddAnswer(q, 'without rows and a total');
  const data = rows.map(row => (isObject(row) ? row['data'] : undefined));
  if (!data.every(isObject)) throw oddAnswer(q, 'with a row that has no data');
  return { rows: data, total: total as number };
}

function oddAnswer(q: string, how: string): AppError {
  return new AppError('rejected', `Chef server answered the search for ${shortened(q)} ${how}`);
}

/** The server leaves out nodes that were deleted since it indexed them, so a later search is whole. */
function incomplete(q: string, shown: number, total: number): AppError {
  return new AppError(
    'unavailable',
    `Chef server showed ${shown} of the ${total} nodes that its search counts for ${shortened(q)}; if it goes on, reindex it (chef-server-ctl reindex)`,
  );
}

function shortened(q: string): string {
  return q.length > 100 ? `${q.slice(0, 100)}…` : q;
}

/**
 * A query for one exact value, of words that need no care but for the colon, which the query language uses itself.
 * The index joins the keys of nested attributes with `_`. Source: https://docs.chef.io/chef_search/
 * @throws AppError `invalid` where the attribute or the value could read as anything else than one word
 */
function searchQuery(attribute: string, value: string): string {
  if (!/^\w[\w-]*(\.\w[\w-]*)*$/.test(attribute)) {
    throw new AppError('invalid', `${JSON.stringify(attribute)} is not a Chef node attribute to search by`);
  }
  if (!/^[A-Za-z0-9][\w.:-]{0,254}$/.test(value) || /^(?:AND|OR|NOT)$/.test(value)) {
    throw new AppError('invalid', `${JSON.stringify(value)} is not a value of ${attribute} to search for`);
  }
  return `${attribute.replaceAll('.', '_')}:${value.replaceAll(':', '\\:')}`;
}
