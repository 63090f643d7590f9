import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ChefClient } from '../../../../src/clients/chef/client.ts';
import { nodeQueries } from '../../../../src/clients/chef/list.ts';
import { isNodeName } from '../../../../src/domain/identifiers.ts';
import { keyPair, nodeOf, startChefServer } from '../../../support/chef-server.ts';

interface Index {
  /** Nodes that a search shows; all unless said. */
  shows?: (name: string) => boolean;
  /** Rows of an answer beyond which nothing is shown. @default 10000 */
  window?: number;
  /** The total that an answer gives for so many matches; the true one unless said. */
  total?: (matches: number, rows: number) => number;
  /** Status and answer instead of a page. */
  fails?: [number, object];
  /** Status of the answer to a read of one node. */
  read?: (name: string) => number;
}

interface LargeServer {
  chef: ChefClient;
  /** Requests by method and first segment: `POST search`, `GET nodes`. */
  requests: Map<string, number>;
  mostAtOnce: number;
}

/** A Chef server with so many nodes as no test registers, of which its search shows some. */
async function startLarge(names: string[], index: Index = {}): Promise<LargeServer> {
  const { shows = () => true, window = 10_000, total = matches => matches, fails, read = () => 200 } = index;
  let atOnce = 0;
  const server = createServer((incoming, outgoing) => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://chef');
    const [, , , kind = '', name] = pathname.split('/');
    const asked = `${incoming.method} ${kind}`;
    large.requests.set(asked, (large.requests.get(asked) ?? 0) + 1);
    large.mostAtOnce = Math.max(large.mostAtOnce, ++atOnce);
    const answer = (status: number, json: object) => {
      setImmediate(() => {
        atOnce--;
        outgoing.writeHead(status).end(JSON.stringify(json));
      });
    };
    if (kind === 'nodes' && name) {
      const status = read(name);
      const node = { name, automatic: { ec2: { instance_id: `i-of-${name}` } } };
      return answer(status, status === 200 ? node : { error: [`node '${name}' not found`] });
    }
    if (kind === 'nodes') return answer(200, Object.fromEntries(names.map(each => [each, 'https://chef'])));
    if (fails) return answer(...fails);
    const [, beginning] = /^(?:\*:|name:(\S*))\*$/.exec(searchParams.get('q') ?? '') ?? [];
    const matches = names.filter(
      each => each.startsWith(beginning?.replaceAll('\\', '') ?? '') && shows(each),
    );
    const [start, count] = ['start', 'rows'].map(each => Number(searchParams.get(each))) as [number, number];
    const page = matches.slice(start, Math.min(start + count, window));
    const rows = page.map(each => ({ url: '', data: { name: each, instance: `i-of-${each}` } }));
    return answer(200, { total: total(matches.length, rows.length), start, rows });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/organizations/acme`;
  const chef = new ChefClient({ url, clientName: 'dereg', key: keyPair().privateKey });
  const large: LargeServer = { chef, requests: new Map(), mostAtOnce: 0 };
  onTestFinished(async () => {
    await chef.close();
    server.close();
    server.closeAllConnections();
  });
  return large;
}

const sorted = (nodes: { name: string }[]) => nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
const manyNames = Array.from(
  { length: 10_500 },
  (_, at) => `node-${String(at).padStart(5, '0')}.example.com`,
);
const listOf = ({ chef }: LargeServer) => chef.listNodes({ instance: 'ec2.instance_id' });
const whole = (names: string[]) => names.map(name => ({ name, instance: `i-of-${name}` }));

describe('all nodes are listed, with their attributes', () => {
  test('however many they are, in few requests', async () => {
    const large = await startLarge(manyNames);
    expect(await listOf(large)).toEqual(whole(manyNames));
    expect(large.requests.get('GET nodes')).toBe(1);
    expect(large.requests.get('POST search')).toBeLessThan(50);
    expect(large.mostAtOnce).toBeLessThanOrEqual(8);
  });

  test.each<[string, Index]>([
    ['the search has not indexed some of them', { shows: name => !name.includes('7') }],
    ['the search shows a few rows at most', { window: 10 }],
    ['the search shows nothing', { shows: () => false }],
    ['the search counts no more than it shows', { window: 10, total: (_, rows) => rows }],
    ['the search counts more than it shows', { shows: name => !name.includes('7'), total: () => 10_500 }],
  ])('though %s', async (_, index) => {
    const names = manyNames.slice(0, 500);
    const large = await startLarge(names, index);
    expect(await listOf(large)).toEqual(whole(names));
    expect(large.mostAtOnce).toBeLessThanOrEqual(8);
  });

  test('whatever signs Chef allows in their names', async () => {
    const names = ['A_b:c-d.e', '-', '.a', '_a', '0', 'a..b', 'AND', 'OR', 'NOT', 'TO', 'x'.repeat(255)];
    expect(sorted(await listOf(await startLarge(names)))).toEqual(sorted(whole(names)));
  });

  test('but for those deleted meanwhile', async () => {
    const names = ['kept', 'gone'];
    const index: Index = { shows: () => false, read: name => (name === 'gone' ? 404 : 200) };
    expect(await listOf(await startLarge(names, index))).toEqual(whole(['kept']));
  });

  test('if there are none', async () => {
    expect(await listOf(await startLarge([]))).toEqual([]);
  });
});

describe('a list of nodes that cannot be whole is an error', () => {
  test.each<[string, Index, string]>([
    ['a node cannot be read', { shows: name => name !== 'node-3', read: () => 403 }, 'permission'],
    ['the server fails for a node', { shows: name => name !== 'node-3', read: () => 500 }, 'unavailable'],
    ['the search is out of order', { fails: [500, { error: ['the search failed'] }] }, 'unavailable'],
    ['the search refuses the query', { fails: [400, { error: ['invalid query'] }] }, 'rejected'],
    ['the search answers something else', { fails: [200, {}] }, 'rejected'],
  ])('since %s', async (_, index, code) => {
    const names = Array.from({ length: 100 }, (_, at) => `node-${at}`);
    const large = await startLarge(names, index);
    await expect(listOf(large)).rejects.toMatchObject({ code });
  });

  test('and after the error nothing more is asked', async () => {
    const large = await startLarge(manyNames.slice(0, 300), { shows: () => false, read: () => 403 });
    await expect(listOf(large)).rejects.toMatchObject({ code: 'permission' });
    expect(large.requests.get('GET nodes')).toBeLessThanOrEqual(1 + 8);
  });
});

test('goiardi, which counts only the nodes of a page, lists all of more nodes than a page has', async () => {
  const server = await startChefServer();
  onTestFinished(() => server.stop());
  const names = Array.from({ length: 1_100 }, (_, at) => `many-${at}`);
  for (let at = 0; at < names.length; at += 50) {
    await Promise.all(
      names
        .slice(at, at + 50)
        .map(name => server.chef.createNode(nodeOf({ name, instanceId: `i-of-${name}` }))),
    );
  }
  const listed = await server.chef.listNodes({ instance: 'ec2.instance_id' });
  expect(sorted(listed)).toEqual(sorted(whole(names)));
});

describe('the queries for all nodes', () => {
  const name = fc.stringMatching(/^[\w.:-]{1,4}$/).filter(isNodeName);
  const group = fc.record({
    beginning: fc.stringMatching(/^[\w.:-]{0,4}$/),
    count: fc.integer({ min: 0, max: 2_500 }),
  });

  test('match each name once, but for those that begin with - or are the beginning of many others', () => {
    fc.assert(
      fc.property(fc.array(group, { maxLength: 4 }), fc.array(name, { maxLength: 20 }), (groups, others) => {
        const many = groups.flatMap(({ beginning, count }) =>
          Array.from({ length: count }, (_, at) => `${beginning}${at}`),
        );
        const names = [...new Set([...many, ...others])];
        const beginnings = [...nodeQueries(names)].map(q => {
          expect(q).toMatch(/^(\*:\*|name:[^-\s]\S*\*)$/);
          return q === '*:*' ? '' : q.slice('name:'.length, -1).replaceAll('\\:', ':');
        });
        for (const each of beginnings) {
          expect(names.filter(one => one.startsWith(each)).length).toBeLessThanOrEqual(1_000);
        }
        for (const one of names) {
          const matches = beginnings.filter(each => one.startsWith(each)).length;
          const isBeginningOfMany = names.filter(other => other.startsWith(one)).length > 1_000;
          const isLeftOut = names.length > 1_000 && (one.startsWith('-') || isBeginningOfMany);
          expect(matches, one).toBe(isLeftOut ? 0 : 1);
        }
      }),
      { numRuns: 20 },
    );
  });
});
