import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { at, ended, openStore, says, type TestStore } from '../../support/jobs/store-fixture.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

const instance = (n: number) => `i-${n.toString(16).padStart(17, '0')}`;
let server: RedisServer;
let it: TestStore;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());
beforeEach(() => {
  it = openStore(server.url);
  return () => it.close();
});

function acceptUnsigned(node: string, n: number) {
  return it.accept(says('delete', node, instance(n)), {
    place: 'hosts',
    publishedAt: at(n),
    quarantine: { code: 'unsigned', message: `host ${node} did not sign its message` },
  });
}

const heldJobs = async () => (await it.store.list({ limit: 100, state: 'held' })).jobs.map(({ id }) => id);

test('the eleventh unsigned message about one node removes the oldest, and says which', async () => {
  const other = await acceptUnsigned('db-1', 99);
  const ids: string[] = [];
  for (let n = 0; n < 10; n++) ids.push((await acceptUnsigned('web-1', n)).jobId);
  const last = await acceptUnsigned('web-1', 10);
  expect(last.removed).toEqual([{ job: ids[0], node: 'web-1', instanceId: instance(0), code: 'unsigned' }]);
  expect((await heldJobs()).sort()).toEqual([...ids.slice(1), last.jobId, other.jobId].sort());
  expect(await it.redis.keys(`${it.prefix}:*${ids[0]}*`)).toEqual([]);
});

test('what a removed message was about is new when AWS announces it', async () => {
  for (let n = 0; n < 11; n++) await acceptUnsigned('web-1', n);
  expect(await it.accept(ended(instance(0)), { publishedAt: at(20) })).toMatchObject({ outcome: 'accepted' });
});

test('a message that a person approved or discarded does not count any more, and is never removed', async () => {
  const approved = await acceptUnsigned('web-1', 0);
  const discarded = await acceptUnsigned('web-1', 1);
  await it.store.move({ id: approved.jobId }, ['held'], 'queued', { approvedBy: 'ops', again: true });
  await it.store.move({ id: discarded.jobId }, ['held'], 'discarded');
  for (let n = 2; n < 12; n++) expect((await acceptUnsigned('web-1', n)).removed).toEqual([]);
  expect((await acceptUnsigned('web-1', 12)).removed).toMatchObject([{ instanceId: instance(2) }]);
  expect((await it.store.get(approved.jobId))?.state).toBe('queued');
  expect((await it.store.get(discarded.jobId))?.state).toBe('discarded');
});

test('a job that AWS stands for is held as long as it takes, however many messages are quarantined', async () => {
  const { jobId, tokens } = await it.accept(ended(instance(0)), { publishedAt: at(0) });
  const [job] = await Promise.all(tokens.map(it.begin));
  if (!job) throw new Error('no job to work');
  await it.store.claimNode(job, 'web-1');
  await it.store.move(job, ['running'], 'held');
  for (let n = 1; n < 30; n++) await acceptUnsigned('web-1', n);
  expect(await heldJobs()).toContain(jobId);
});

test('of 10,050 claims and unsigned messages the newest 10,000 are kept', async () => {
  const ids: string[] = [];
  const removed: string[] = [];
  for (let n = 0; n < 10_050; n++) {
    const { jobId, tokens, ...acceptance } =
      n % 2 === 0
        ? await acceptUnsigned(`web-${n}`, n)
        : await it.accept(ended(instance(n)), { place: 'hosts', publishedAt: at(n) });
    const [job] = await Promise.all(tokens.map(it.begin));
    if (job) await it.store.move(job, ['running'], 'held');
    ids.push(jobId);
    removed.push(...acceptance.removed.map(({ job }) => job));
  }
  expect(removed).toEqual(ids.slice(0, removed.length));
  expect(removed.length).toBeGreaterThanOrEqual(49);
  expect(await it.redis.zcard(`${it.prefix}:list:delete:held`)).toBe(10_050 - removed.length);
}, 60_000);
