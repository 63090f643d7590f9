import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ScriptName, scriptText } from '../../../src/jobs/scripts.ts';
import { FAULTY } from '../../support/jobs/faulty-script.ts';
import { openStore, type TestStore } from '../../support/jobs/store-fixture.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

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

/** Runs a script whose nth command fails; 0 fails none. @throws what Redis says then */
function run(nth: number, script: ScriptName, ...args: (string | number)[]): Promise<unknown> {
  return it.redis.eval(FAULTY + scriptText(script), 1, it.prefix, ...args, nth);
}

/** Fails each command of a script once, and calls it again as its caller would. @returns how many commands it has */
async function failEach(
  script: ScriptName,
  args: (string | number)[],
  {
    before = async () => {},
    after,
  }: { before?: () => Promise<unknown>; after: (reply: unknown) => Promise<void> },
): Promise<number> {
  for (let nth = 1; nth <= 100; nth++) {
    await it.redis.flushdb();
    await before();
    let failed = false;
    const reply = await run(nth, script, ...args).catch(() => {
      failed = true;
      return run(0, script, ...args);
    });
    await after(reply);
    if (!failed) return nth - 1;
  }
  throw new Error(`${script} does not end`);
}

const key = (name: string) => `${it.prefix}:${name}`;
const stamp = () => run(0, 'stamp', 'job-1');
const beginRun = (nth: number) => run(nth, 'begin-run', 'owner', 'lock', 60_000, 10_000, 0, 60_000);

test('a deletion is counted once in the budget, whichever command of its script fails', async () => {
  const commands = await failEach('spend', ['job-1', 60_000, 1], {
    async after(reply) {
      expect(reply).toBe(1);
      expect(await it.redis.zrange(key('budget'), '0', '-1')).toEqual(['job-1']);
      expect(await run(0, 'spend', 'job-2', 60_000, 1)).toBe(0);
    },
  });
  expect(commands).toBeGreaterThan(3);
});

test('a part of the budget is given back, whichever command of its script fails', async () => {
  await failEach('refund', ['job-1'], {
    before: () => run(0, 'spend', 'job-1', 60_000, 1),
    after: async () => expect(await it.redis.zcard(key('budget'))).toBe(0),
  });
});

test('a change in Chef asks for a chef-client run, whichever command of its script fails', async () => {
  const commands = await failEach('stamp', ['job-1'], {
    async after() {
      expect(await it.redis.zrange(key('trigger:uncovered'), '0', '-1')).toEqual(['job-1']);
      expect(await beginRun(0)).not.toBeNull();
    },
  });
  expect(commands).toBeGreaterThan(2);
});

test('a chef-client run begins, whichever command of its script fails', async () => {
  const commands = await failEach('begin-run', ['owner', 'lock', 60_000, 10_000, 0, 60_000], {
    before: stamp,
    async after(clock) {
      expect(Number(clock)).toBe(1);
      // No other process begins one beside it.
      expect(await run(0, 'begin-run', 'other', 'lock', 60_000, 10_000, 0, 60_000)).toBeNull();
    },
  });
  expect(commands).toBeGreaterThan(5);
});

test('whichever command fails while a run ends, its changes are covered by it or by another run', async () => {
  const commands = await failEach('end-run', ['owner', 1, 0, 0, '{}', ''], {
    async before() {
      await stamp();
      await beginRun(0);
    },
    async after() {
      if ((await it.redis.zcard(key('trigger:uncovered'))) === 0) return;
      expect(await beginRun(0)).not.toBeNull();
      await run(0, 'end-run', 'owner', 1, 0, 0, '{}', '');
      expect(await it.redis.zcard(key('trigger:uncovered'))).toBe(0);
    },
  });
  expect(commands).toBeGreaterThan(4);
});

test('a later look at a node is neither forgotten when it is noted nor when it is taken', async () => {
  await failEach('schedule', ['looks', 0, 'a', 0, 'b'], {
    after: async () => expect((await it.redis.zrange(key('looks'), '0', '-1')).sort()).toEqual(['a', 'b']),
  });
  await failEach('take-due', ['looks', 60_000, 10], {
    before: () => run(0, 'schedule', 'looks', 0, 'a', 0, 'b'),
    after: async () => expect((await it.redis.zrange(key('looks'), '0', '-1')).sort()).toEqual(['a', 'b']),
  });
});
