import { attribute, type ChefNode } from '../../domain/chef-node.ts';
import { AppError } from '../../domain/errors.ts';
import { isNodeName } from '../../domain/identifiers.ts';
import { readNamed, readObject } from './answer.ts';
import type { ChefServer } from './connection.ts';
import { ROWS, searchPage } from './search.ts';

export type ListedAttributes<K extends string> = { name: string } & Partial<Record<K, unknown>>;

/** Requests under way at once: a listing must leave the Chef server time for its hosts. */
const LANES = 8;

/**
 * Attributes of all nodes, by the names given to their dotted paths; those that a node lacks are null or absent.
 *
 * The list of nodes says which nodes there are. A search shows only what its index has, which lags, and no more than the
 * index's window (10,000 nodes by default), some servers with a total to match. So the search is asked for groups of
 * nodes that fit into one page, and nodes that it does not show are read one by one. Nodes that are deleted meanwhile are
 * left out.
 * @throws AppError also if a single node cannot be read: a list is never short
 */
export async function listNodes<K extends string>(
  server: ChefServer,
  paths: Record<K, string>,
): Promise<ListedAttributes<K>[]> {
  const names = await nodeNames(server);
  const known = new Set<unknown>(names);
  const found = new Map<unknown, ListedAttributes<K>>();
  const keys = Object.entries<string>(paths).map(([as, path]) => [as, path.split('.')]);
  await inLanes(nodeQueries(names), async q => {
    const { rows } = await searchPage(server, q, 0, { ...Object.fromEntries(keys), name: ['name'] });
    for (const row of rows) if (known.has(row['name'])) found.set(row['name'], row as ListedAttributes<K>);
  });
  const unseen = names.filter(name => !found.has(name));
  await inLanes(unseen, async name => {
    const node = readNamed<ChefNode>(await server.get('nodes', name), name);
    if (node) found.set(name, attributesOf(node, paths));
  });
  return names.flatMap(name => found.get(name) ?? []);
}

/**
 * Queries that show the nodes of these names, each at most one page of them: by the beginnings of the names. Names that a
 * query could misread are left out, and the few that are the beginning of a whole group.
 */
export function* nodeQueries(names: readonly string[], beginning = ''): Generator<string> {
  if (names.length <= ROWS) {
    if (names.length > 0) yield beginning ? `name:${beginning.replaceAll(':', '\\:')}*` : '*:*';
    return;
  }
  const longer = names.filter(name => name.length > beginning.length);
  const groups = Map.groupBy(longer, name => name.slice(0, beginning.length + 1));
  for (const [each, group] of groups) if (!each.startsWith('-')) yield* nodeQueries(group, each);
}

/** Names of all nodes, as the server's database has them. */
async function nodeNames(server: ChefServer): Promise<string[]> {
  const answer = await server.get('nodes');
  const urls = Object.entries(readObject(answer) ?? { '': undefined });
  if (urls.every(([name, url]) => isNodeName(name) && typeof url === 'string'))
    return urls.map(([name]) => name);
  throw new AppError('rejected', `${answer.url.href} is not a list of nodes: is CHEF_SERVER_URL right?`);
}

function attributesOf<K extends string>(node: ChefNode, paths: Record<K, string>): ListedAttributes<K> {
  const values = Object.entries<string>(paths).map(([as, path]) => [as, attribute(node, path)]);
  return { ...Object.fromEntries(values), name: node.name };
}

/** Does the work for each item, a few at a time; after a failure nothing more is begun. */
async function inLanes<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items].reverse();
  const lane = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  const lanes = Array.from({ length: LANES }, () =>
    lane().catch((error: unknown) => {
      left.length = 0;
      throw error;
    }),
  );
  await Promise.all(lanes);
}
