import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../parts/redis.ts';
import { openStore, says } from './store-fixture.ts';
import { modelProtocol, type ProtocolRules, redisProtocol } from './trigger-protocol.ts';
import { type ActorRules, actions, play } from './trigger-scenario.ts';

const RULES: ProtocolRules & ActorRules = {
  waitsForOpenJobs: true,
  leavesOpenJobsUncovered: true,
  coversOnlyWhatWasStampedBefore: true,
  coversOnlyIfItSucceeded: true,
  stampsBeforeItDeletes: true,
  orphanHoldsHost: true,
};

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());

const inMemory = (rules: typeof RULES) =>
  fc.asyncProperty(actions, steps => play(steps, modelProtocol(rules), rules));

describe('whoever dies whenever: when all is quiet the last good run began after the last deletion, and no two were on a host at once,', () => {
  test('by the model', () => fc.assert(inMemory(RULES), { numRuns: 2_000 }));

  test('by the scripts in Redis', () =>
    fc.assert(
      fc.asyncProperty(actions, async steps => {
        const store = openStore(server.url);
        await play(steps, redisProtocol(store), RULES).finally(() => store.close());
      }),
      { numRuns: 150 },
    ));

  test.each(Object.keys(RULES))('and not without the rule %s', async rule => {
    const { errorInstance } = await fc.check(inMemory({ ...RULES, [rule]: false }), {
      numRuns: 20_000,
      endOnFailure: true,
    });
    expect(String(errorInstance)).toMatch(
      /^AssertionError: (begin of the last good run|runs at once on a host)/,
    );
  });
});

describe('a service that is never quiet', () => {
  const LONGEST = 600_000;

  test('has a run after the longest wait and the quiet time, and it covers only jobs that have finished', async () => {
    const it = openStore(server.url);
    const begin = (now: number) => it.run('begin-run', 'runner', 60_000, 5_000, now, LONGEST);
    const [done, stillOpen] = [await it.accept(says('delete', 'a')), await it.accept(says('delete', 'b'))];
    await it.run('stamp', done.jobId, 1_000);
    await it.run('stamp', stillOpen.jobId, 2_000);
    await it.work(done.tokens);
    expect(await begin(LONGEST + 999)).toBeNull();
    expect(await begin(LONGEST + 1_000), 'waits for the search index').toBeNull();
    const later = await it.accept(says('delete', 'c'));
    await it.run('stamp', later.jobId, LONGEST + 2_000);
    await it.work(later.tokens);
    expect(await begin(LONGEST + 5_999)).toBeNull();
    const clock = await begin(LONGEST + 6_000);
    expect(clock).not.toBeNull();
    expect(await it.run('end-run', 'runner', String(clock), '0', 0, '{}')).toBe(1);
    expect((await it.redis.zrange(`${it.prefix}:trigger:uncovered`, 0, '-1')).sort()).toEqual(
      [stillOpen.jobId, later.jobId].sort(),
    );
    expect(await begin(2 * LONGEST + 5_999), 'the next has as long to wait').toBeNull();
    it.close();
  });

  test('has one too where every job is done at once and another change always comes before the quiet time is over', async () => {
    const it = openStore(server.url);
    let begun: unknown = null;
    for (let now = 0; now <= LONGEST + 10_000 && begun === null; now += 4_000) {
      const { jobId, tokens } = await it.accept(says('delete', `n-${now}`));
      await it.run('stamp', jobId, now);
      await it.work(tokens);
      begun = await it.run('begin-run', 'runner', 60_000, 5_000, now + 1, LONGEST);
    }
    expect(begun).not.toBeNull();
    it.close();
  });
});
