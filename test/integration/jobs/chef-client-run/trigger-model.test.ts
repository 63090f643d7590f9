import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore, says, type TestStore } from '../../../support/jobs/store-fixture.ts';
import {
  letTimePass,
  modelProtocol,
  type ProtocolRules,
  redisProtocol,
} from '../../../support/jobs/trigger-protocol.ts';
import { type ActorRules, actions, play } from '../../../support/jobs/trigger-scenario.ts';
import { type RedisServer, startRedis } from '../../../support/redis.ts';

const RULES: ProtocolRules & ActorRules = {
  waitsForOpenJobs: true,
  leavesOpenJobsUncovered: true,
  coversOnlyWhatWasStampedBefore: true,
  coversOnlyIfItSucceeded: true,
  stampsBeforeItDeletes: true,
  orphanHoldsHost: true,
  leaseStaysOnHost: true,
  leaseCoversWhatGoesOn: true,
  limitEndsRuns: true,
  startsInTime: true,
};

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());

const inMemory = (rules: typeof RULES) =>
  fc.asyncProperty(actions, steps => play(steps, modelProtocol(rules), rules));

describe('whatever is killed or paused: when all is quiet the last good run began after the last deletion, and no two ran at once,', () => {
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
    expect(String(errorInstance)).toMatch(/^AssertionError: (begin of the last good run|runs at once)/);
  });
});

describe('in a service that is never quiet', () => {
  const [LONGEST, SETTLE] = [6_000_000, 600_000];
  const MINUTE = 60_000;
  const begin = (it: TestStore) => it.run('begin-run', 'runner', 'lock', 60_000, 15_000, SETTLE, LONGEST);

  test('a run begins after the longest wait and the quiet time, and covers only jobs that have finished', async () => {
    const it = openStore(server.url);
    const [done, stillOpen] = [await it.accept(says('delete', 'a')), await it.accept(says('delete', 'b'))];
    await it.run('stamp', done.jobId);
    await it.run('stamp', stillOpen.jobId);
    await it.work(done.tokens);
    await letTimePass(it, LONGEST - MINUTE);
    expect(await begin(it)).toBeNull();
    await letTimePass(it, MINUTE);
    expect(await begin(it), 'waits for the search index').toBeNull();
    const later = await it.accept(says('delete', 'c'));
    await it.run('stamp', later.jobId);
    await it.work(later.tokens);
    await letTimePass(it, SETTLE - MINUTE);
    expect(await begin(it)).toBeNull();
    await letTimePass(it, MINUTE);
    const clock = await begin(it);
    expect(clock).not.toBeNull();
    expect(await it.run('end-run', 'runner', String(clock), '0', 0, '{}', '')).toBe(0);
    expect((await it.redis.zrange(`${it.prefix}:trigger:uncovered`, 0, '-1')).sort()).toEqual(
      [stillOpen.jobId, later.jobId].sort(),
    );
    await letTimePass(it, LONGEST - MINUTE);
    expect(await begin(it), 'the next has as long to wait').toBeNull();
    it.close();
  });

  test('a run begins too if every job is done at once and another change always comes before the quiet time is over', async () => {
    const it = openStore(server.url);
    let begun: unknown = null;
    for (let passed = 0; passed <= LONGEST + 2 * SETTLE && begun === null; passed += SETTLE / 2) {
      const { jobId, tokens } = await it.accept(says('delete', `n-${passed}`));
      await it.run('stamp', jobId);
      await it.work(tokens);
      begun = await begin(it);
      await letTimePass(it, SETTLE / 2);
    }
    expect(begun).not.toBeNull();
    it.close();
  });
});
