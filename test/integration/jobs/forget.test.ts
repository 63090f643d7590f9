import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { keepJobRetention } from '../../../src/jobs/job-retention.ts';
import { scriptText } from '../../../src/jobs/scripts.ts';
import { FAULTY } from '../../support/jobs/faulty-script.ts';
import { at, ended, openStore, says, type TestStore } from '../../support/jobs/store-fixture.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

const I = 'i-0a1b2c3d4e5f60718';
const DAY_MS = 86_400_000;
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

/** Works one job to a state that it then has had for some days. @returns its id */
async function old(days: number, to: 'done' | 'failed' | 'discarded' | 'held' = 'done', instance = I) {
  const { jobId, tokens } = await it.accept(ended(instance), { publishedAt: at(10) });
  const [job] = await Promise.all(tokens.map(it.begin));
  if (!job) throw new Error('no job to work');
  await it.store.claimNode(job, `node-of-${instance}`);
  await it.store.move(job, ['running'], to);
  if (to !== 'held') await it.redis.zadd(`${it.prefix}:finished`, Date.now() - days * DAY_MS, jobId);
  return jobId;
}

async function look(days: number): Promise<void> {
  await keepJobRetention({ store: it.store, days, log: pino({ level: 'silent' }) }).close();
}

/** The keys that are left, without the prefix; not the counts by the hour, which expire by themselves. */
async function keys(): Promise<string[]> {
  const all = await it.redis.keys(`${it.prefix}:*`);
  return all.map(key => key.slice(it.prefix.length + 1)).filter(key => !key.startsWith('hour:'));
}

test.each(['done', 'failed', 'discarded'] as const)(
  'the record of a job that is %s leaves with its places in every list',
  async state => {
    const id = await old(91, state);
    await it.redis.del(`${it.prefix}:outbox`);
    await look(90);
    expect(await it.store.get(id)).toBeUndefined();
    expect((await it.store.list({ limit: 10 })).jobs).toEqual([]);
    expect((await keys()).sort()).toEqual([expect.stringMatching(/^past:/), 'seq']);
  },
);

test('younger jobs stay, and those that wait for a person', async () => {
  const ids = [await old(89), await old(500, 'held', 'i-00000000000000002')];
  await look(90);
  expect((await it.store.list({ limit: 10 })).jobs.map(({ id }) => id).sort()).toEqual(ids.sort());
});

test('a job that was opened again stays, though it had ended long ago', async () => {
  const id = await old(91);
  await it.store.move({ id }, ['done'], 'queued', { again: true });
  await look(90);
  expect((await it.store.get(id))?.state).toBe('queued');
});

test('a termination whose record is gone is known when it is announced again, by AWS or by the host', async () => {
  const id = await old(91);
  await look(90);
  expect(await it.accept(ended(I), { publishedAt: at(20) })).toMatchObject({
    jobId: id,
    outcome: 'duplicate',
  });
  expect(await it.accept(says('delete', 'web-1', I), { publishedAt: at(21), place: 'hosts' })).toMatchObject({
    jobId: id,
    outcome: 'duplicate',
  });
});

test('an ensure that was said since makes it another termination', async () => {
  const id = await old(91);
  await look(90);
  await it.accept(says('ensure', `node-of-${I}`, I), { publishedAt: at(30), place: 'hosts' });
  const later = await it.accept(ended(I), { publishedAt: at(40) });
  expect(later).toMatchObject({ outcome: 'accepted' });
  expect(later.jobId).not.toBe(id);
});

test('many leave, in batches, and what is remembered of each takes less than 200 bytes', async () => {
  const count = 2_000;
  const instanceOf = (n: number) => `i-${n.toString(16).padStart(17, '0')}`;
  for (let n = 0; n < count; n++) await old(91, 'done', instanceOf(n));
  await it.redis.del(`${it.prefix}:outbox`);
  while (await it.store.forget(90 * DAY_MS));
  expect((await it.store.list({ limit: 10 })).jobs).toEqual([]);
  const left = (await keys()).filter(key => key !== 'seq');
  const usage = it.redis.pipeline();
  for (const key of left) usage.memory('USAGE', `${it.prefix}:${key}`, 'SAMPLES', 0);
  const bytes = ((await usage.exec()) ?? []).reduce((sum, [, size]) => sum + Number(size), 0);
  expect(left.every(key => key.startsWith('past:'))).toBe(true);
  expect(bytes / count).toBeLessThan(200);
});

test('whichever command fails, looking again finishes it', async () => {
  const id = await old(91);
  const faulty = FAULTY + scriptText('forget');
  let failures = 0;
  for (let nth = 1; nth <= 100; nth++) {
    const failed = await it.redis.eval(faulty, 1, it.prefix, 90 * DAY_MS, 10, nth).then(
      () => false,
      () => true,
    );
    if (!failed) break;
    failures += 1;
  }
  expect(failures).toBeGreaterThan(5);
  await look(90);
  expect(await it.store.get(id)).toBeUndefined();
  expect((await keys()).filter(key => key !== 'outbox').sort()).toEqual([
    expect.stringMatching(/^past:/),
    'seq',
  ]);
  expect(await it.accept(ended(I), { publishedAt: at(20), messageId: randomUUID() })).toMatchObject({
    jobId: id,
  });
});

test('the id of a request is remembered for 30 days, and what a request asked for leaves nothing else', async () => {
  const request = { kind: 'request', method: 'delete', node: 'web-1' } as const;
  const news = { source: 'api', place: 'api', messageId: 'ops:key' } as const;
  const { jobId, tokens } = await it.accept(request, news);
  const [job] = await Promise.all(tokens.map(it.begin));
  if (!job) throw new Error('no job to work');
  await it.store.move(job, ['running'], 'done');
  await it.redis.zadd(`${it.prefix}:finished`, 0, jobId);
  await it.redis.del(`${it.prefix}:outbox`);
  await look(90);
  const left = ['known:request:ops:key', 'said:n:web-1', 'seq'];
  expect((await keys()).sort()).toEqual(left);
  expect(await it.redis.ttl(`${it.prefix}:known:request:ops:key`)).toBeLessThanOrEqual(30 * 86_400);
  expect(await it.accept(request, news)).toMatchObject({ jobId, outcome: 'duplicate' });
});
