import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JOB_KINDS, JOB_STATES, type JobState } from '../../src/domain/job.ts';
import { countJobs } from '../../src/jobs/counts.ts';
import { lastHours } from '../../src/jobs/hourly-counts.ts';
import type { JobFilter } from '../../src/jobs/job-filter.ts';
import { openStore, says, type TestStore } from '../support/jobs/store-fixture.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { instanceId } from '../support/termination.ts';

const FEW = 100;
const MANY = 100_000;
/** One node in the place of many: half of all jobs are of it. */
const BUSY = 'busy';

let server: RedisServer;
let few: TestStore;
let many: TestStore;

beforeAll(async () => {
  server = await startRedis({ appendonly: 'no' });
  few = openStore(server.url);
  many = openStore(server.url);
  await fill(few, FEW);
  await fill(many, MANY);
}, 120_000);
afterAll(async () => {
  few?.close();
  many?.close();
  await server?.stop();
});

/** By the store's own scripts: jobs of every kind and state, half of them of one node. */
async function fill(it: TestStore, count: number): Promise<void> {
  const AT_ONCE = 500;
  for (let from = 0; from < count; from += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, at) => one(it, from + at));
    await Promise.all(batch);
  }
}

async function one(it: TestStore, number: number): Promise<void> {
  const node = number % 2 === 0 ? BUSY : `web-${number}`;
  const method = number % 10 === 9 ? 'ensure' : 'delete';
  const { jobId } = await it.accept(says(method, node, instanceId(number)));
  await it.store.move({ id: jobId }, ['queued'], stateOf(number));
}

/** Most are done; held ones are so rare that a page of the busy node cannot be full of them. */
function stateOf(number: number): JobState {
  if (number % 50 === 2) return 'held';
  return number % 50 === 3 ? 'failed' : 'done';
}

/** How many commands Redis did, those within scripts included, and how many bytes it said. */
async function cost(
  it: TestStore,
  work: () => Promise<unknown>,
): Promise<{ commands: number; bytes: number }> {
  const read = async () => {
    const info = await it.redis.info('everything');
    const calls = [...info.matchAll(/^cmdstat_(?!info)[^:]+:calls=(\d+)/gm)];
    return {
      commands: calls.reduce((sum, [, count]) => sum + Number(count), 0),
      bytes: Number(/^total_net_output_bytes:(\d+)/m.exec(info)?.[1]),
    };
  };
  const idle = await read();
  const before = await read();
  await work();
  const after = await read();
  // What asking itself costs.
  const asking = before.bytes - idle.bytes;
  return { commands: after.commands - before.commands, bytes: after.bytes - before.bytes - asking };
}

const filters: [string, Omit<JobFilter, 'limit'>][] = [
  ['nothing', {}],
  ...JOB_STATES.map(state => [`state ${state}`, { state }] as [string, JobFilter]),
  ...JOB_KINDS.map(kind => [`kind ${kind}`, { kind }] as [string, JobFilter]),
  ['kind and state', { kind: 'delete', state: 'held' }],
  ['a node', { node: 'web-1' }],
  ['a node and a state', { node: 'web-3', state: 'failed' }],
  ['the busy node', { node: BUSY }],
  ['the busy node and the common state', { node: BUSY, state: 'done' }],
  ['an instance', { instanceId: instanceId(7) }],
  [
    'an instance, its node, kind and state',
    { instanceId: instanceId(7), node: 'web-7', kind: 'delete', state: 'done' },
  ],
];

describe.each(filters)('a page of jobs by %s', (_name, filter) => {
  test(`asks as much of Redis with ${MANY} jobs as with ${FEW}`, async () => {
    const page = (it: TestStore) => cost(it, () => it.store.list({ ...filter, limit: 2 }));
    const [small, large] = [await page(few), await page(many)];
    // One that finds fewer than it may have with few jobs reads less there.
    expect(large.commands).toBeLessThanOrEqual(small.commands + 4);
    expect(large.bytes).toBeLessThanOrEqual(small.bytes + 4_000);
  });
});

test('the rare state of a busy node is found in pages whose cost has a limit', async () => {
  const found: string[] = [];
  let pages = 0;
  for (let cursor: string | null | undefined; cursor !== null; pages++) {
    const { commands } = await cost(many, async () => {
      const page = await many.store.list({
        node: BUSY,
        state: 'failed',
        limit: 50,
        cursor: cursor ?? undefined,
      });
      found.push(...page.jobs.map(job => job.id));
      cursor = page.next;
    });
    expect(commands).toBeLessThan(2_100);
  }
  expect(found).toEqual([]);
  expect(pages).toBeGreaterThan(MANY / 2 / 2_000);
});

test('every held job of a busy node comes once, whatever the size of the page', async () => {
  const found: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await many.store.list({ node: BUSY, state: 'held', limit: 37, cursor: cursor ?? undefined });
    found.push(...page.jobs.map(job => job.id));
    cursor = page.next;
  }
  expect(new Set(found).size).toBe(MANY / 50);
  expect(found).toHaveLength(MANY / 50);
});

test(`metrics and summary ask as much of Redis with ${MANY} jobs as with ${FEW}`, async () => {
  const census = (it: TestStore) => cost(it, () => countJobs(it.redis, it.prefix));
  const hours = (it: TestStore) => cost(it, () => lastHours(it.redis, it.prefix, 24));
  expect((await census(many)).commands).toBe((await census(few)).commands);
  expect((await hours(many)).commands).toBe((await hours(few)).commands);
  const { jobs } = await countJobs(many.redis, many.prefix);
  expect(jobs.reduce((sum, { count }) => sum + count, 0)).toBe(MANY);
  const counted = (await lastHours(many.redis, many.prefix, 24)).flatMap(hour => hour.jobs);
  for (const { kind, state, count } of jobs) {
    const hourly = counted.filter(each => each.kind === kind && each.state === state);
    expect(
      hourly.reduce((sum, each) => sum + each.count, 0),
      `${kind} ${state}`,
    ).toBe(count);
  }
});

test('a job takes no more memory among many', async () => {
  const used = async () => Number(/^used_memory_dataset:(\d+)/m.exec(await many.redis.info('memory'))?.[1]);
  const perJob = (await used()) / (MANY + FEW);
  console.info(`memory per job: ${Math.round(perJob)} bytes`);
  expect(perJob).toBeLessThan(4_096);
});
