import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JobState } from '../../../../src/domain/job.ts';
import { runCommand } from '../../../../src/jobs/chef-client-run/command.ts';
import { hostLock } from '../../../../src/jobs/chef-client-run/host-lock.ts';
import { Trigger, type TriggerOptions } from '../../../../src/jobs/chef-client-run/trigger.ts';
import { openStore, says, type TestStore } from '../../../support/jobs/store-fixture.ts';
import { freshDirectory, until } from '../../../support/process.ts';
import { type RedisServer, startRedis } from '../../../support/redis.ts';

const STAND_IN = new URL('../../../support/chef-client.sh', import.meta.url).pathname;
let server: RedisServer;
let it: TestStore;
let directory: string;
let triggers: Trigger[];

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(() => {
  it = openStore(server.url);
  directory = freshDirectory('trigger');
  triggers = [];
});
afterEach(async () => {
  await Promise.all(triggers.map(trigger => trigger.close()));
  it.close();
});
afterAll(() => server?.stop());

/** chef-client's stand-in: how long it takes, in seconds, and how it exits. */
const chefClient = (seconds = 0.05, exit = 0) => [
  '/bin/sh',
  STAND_IN,
  `${directory}/log`,
  `${seconds}`,
  `${exit}`,
];
/** A script that runs in the test's own directory. */
const script = (text: string) => ['/bin/sh', '-c', `cd "$1"; ${text}`, 'sh', directory];
const WAITS = 'echo begin >> log; until [ -e go ]; do sleep 0.02; done; echo end >> log';
const letGo = () => writeFileSync(join(directory, 'go'), '');
/** `begin` and `end` of each run so far. */
const marks = () => {
  try {
    return readFileSync(join(directory, 'log'), 'utf8').match(/^(begin|end)/gm) ?? [];
  } catch {
    return [];
  }
};
const begun = () => marks().filter(mark => mark === 'begin').length;

function trigger(command: string[] = chefClient(), options: Partial<TriggerOptions> = {}): Trigger {
  const all = { prefix: it.prefix, command, settleMs: 0, timeoutMs: 60_000, ...options };
  const made = new Trigger(it.redis, it.run, all, pino({ level: 'silent' }));
  triggers.push(made);
  return made;
}

/** Deletes a node, as far as the trigger sees it. */
async function deletion(by: Trigger, node: string, to: JobState = 'done'): Promise<void> {
  const { jobId, tokens } = await it.accept(says('delete', node));
  await by.stamp(jobId);
  await it.work(tokens, to);
}

const idle = (one: Trigger) =>
  until('the trigger to be idle', async () => (await one.status()).state === 'idle');
/** Whether a run may begin now; the one that may is not begun, but nobody else begins one either. */
const isDue = async (settleMs = 0) =>
  (await it.run('begin-run', 'the test', 'elsewhere', 60_000, 15_000, settleMs, 600_000)) !== null;

describe('a run', () => {
  test('comes once for many deletions, after the last', async () => {
    const one = trigger();
    expect(await one.status()).toEqual({ state: 'idle', pendingDeletes: 0, lastRun: null });
    for (let n = 0; n < 10; n++) await deletion(one, `web-${n}`);
    expect(await one.status()).toEqual({ state: 'waiting', pendingDeletes: 10, lastRun: null });
    one.start(directory);
    await idle(one);
    expect(begun()).toBe(1);
    const { lastRun, pendingDeletes } = await one.status();
    expect(pendingDeletes).toBe(0);
    expect(lastRun).toMatchObject({ exitCode: 0, output: 'Infra Phase complete\n' });
    expect(Date.parse(lastRun?.startedAt ?? '')).toBeLessThan(Date.parse(lastRun?.finishedAt ?? ''));
    expect(await isDue()).toBe(false);
  });

  test('does not come where nothing was deleted', async () => {
    await it.work((await it.accept(says('delete', 'web-1'))).tokens);
    expect(await isDue()).toBe(false);
  });

  test('comes even where the job that deleted something failed or is held after it', async () => {
    const one = trigger();
    await deletion(one, 'web-1', 'failed');
    await deletion(one, 'web-2', 'held');
    one.start(directory);
    await idle(one);
    expect(begun()).toBe(1);
  });

  test('waits for its quiet time after the last change', async () => {
    await deletion(trigger(), 'web-1');
    expect(await isDue(60_000)).toBe(false);
    expect(await isDue(0)).toBe(true);
  });

  test('is left to others by a process without the role', async () => {
    const one = trigger();
    await deletion(one, 'web-1');
    one.check();
    await one.close();
    expect(begun()).toBe(0);
    expect(await isDue()).toBe(true);
  });

  test('comes after the start where all processes were down when the queue emptied', async () => {
    await deletion(trigger(), 'web-1');
    const late = trigger();
    late.start(directory);
    await idle(late);
    expect(begun()).toBe(1);
  });
});

describe('what is not finished', () => {
  test.each(['queued', 'running', 'retrying'] as const)('a job that is %s is waited for', async state => {
    const one = trigger();
    await deletion(one, 'web-1');
    const { jobId } = await it.accept(says('delete', 'web-2'));
    if (state !== 'queued') await it.store.move({ id: jobId }, ['queued'], state);
    expect(await isDue()).toBe(false);
    await it.store.move({ id: jobId }, ['queued', 'running', 'retrying'], 'done');
    expect(await isDue()).toBe(true);
  });

  test('a job that is held waits for a person, and nobody for it', async () => {
    const one = trigger();
    await deletion(one, 'web-1');
    await it.work((await it.accept(says('delete', 'web-2'))).tokens, 'held');
    expect(await isDue()).toBe(true);
  });
});

test('a deletion that ends while a run is under way gets one more', async () => {
  const one = trigger(script(WAITS));
  await deletion(one, 'web-1');
  one.start(directory);
  await until('the run to begin', () => begun() === 1);
  expect(await one.status()).toMatchObject({ state: 'running', pendingDeletes: 1 });
  await deletion(one, 'web-2');
  await deletion(one, 'web-3');
  expect(await one.status()).toMatchObject({ state: 'running', pendingDeletes: 3 });
  letGo();
  await idle(one);
  expect(begun()).toBe(2);
});

describe('a run that does not succeed', () => {
  test('is repeated after a while, until one does', async () => {
    const one = trigger(script('echo begin >> log; [ "$(wc -l < log)" -ge 3 ] || { echo broken; exit 3; }'));
    await deletion(one, 'web-1');
    one.start(directory);
    await until('the first to fail', async () => (await one.status()).lastRun);
    expect(await one.status()).toMatchObject({
      state: 'waiting',
      pendingDeletes: 1,
      lastRun: { exitCode: 3, output: 'broken\n' },
    });
    expect(await isDue(), 'not at once').toBe(false);
    await idle(one);
    expect(begun()).toBe(3);
    expect((await one.status()).lastRun).toMatchObject({ exitCode: 0 });
  });

  test('because it takes too long is ended, and repeated', async () => {
    const one = trigger(chefClient(600), { timeoutMs: 200 });
    await deletion(one, 'web-1');
    one.start(directory);
    await until('the second', () => begun() === 2);
    expect(await one.status()).toMatchObject({
      pendingDeletes: 1,
      lastRun: { exitCode: null, output: expect.stringContaining('TRIGGER_TIMEOUT_SECONDS') },
    });
  });

  test('because the service stops is ended, and repeated by the next', async () => {
    const one = trigger(chefClient(600));
    await deletion(one, 'web-1');
    one.start(directory);
    await until('the run to begin', () => begun() === 1);
    await one.close();
    expect(await one.status()).toMatchObject({ state: 'waiting', pendingDeletes: 1 });
    const next = trigger();
    next.start(directory);
    await idle(next);
    expect(marks()).toEqual(['begin', 'begin', 'end']);
  });

  test('because its program is not there tells so', async () => {
    const one = trigger([join(directory, 'chef-client')]);
    await deletion(one, 'web-1');
    one.start(directory);
    const { lastRun } = await until('the run', async () => {
      const status = await one.status();
      return status.lastRun && status;
    });
    expect(lastRun?.output).toContain('chef-client');
  });
});

describe('two runs', () => {
  test('never overlap, however many processes wait to run one', async () => {
    // The last argument makes them different commands: only the lease in Redis keeps them apart.
    const all = ['a', 'b', 'c'].map(name => trigger([...chefClient(0.05), name]));
    for (const one of all) one.start(directory);
    for (let n = 0; n < 12; n++) {
      await deletion(all[n % 3] as Trigger, `web-${n}`);
      for (const one of all) one.check();
      if (n % 3 === 0) await idle(all[0] as Trigger);
    }
    await idle(all[0] as Trigger);
    expect(begun()).toBeGreaterThanOrEqual(4);
    expect(marks()).toEqual(Array.from({ length: begun() }, () => ['begin', 'end']).flat());
  });

  test('do not overlap on a host where a killed process left one behind', async () => {
    const command = script(WAITS);
    const lock = hostLock(command, directory).path;
    const { signal } = new AbortController();
    const orphan = runCommand(command, { lock, timeoutMs: 60_000, signal });
    await until('the orphan to run', () => begun() === 1);
    const one = trigger(command);
    await deletion(one, 'web-1');
    one.start(directory);
    await until('the trigger to find it busy', () => it.redis.hget(`${it.prefix}:trigger`, 'notBefore'));
    expect(await one.status()).toMatchObject({ pendingDeletes: 1, lastRun: null });
    expect(await it.redis.hget(`${it.prefix}:trigger`, 'failures'), 'no failure').toBeNull();
    letGo();
    expect(await orphan).toMatchObject({ exitCode: 0 });
    await idle(one);
    expect(marks()).toEqual(['begin', 'end', 'begin', 'end']);
  });

  test('of which the first lost its lease: its success does not count', async () => {
    const one = trigger();
    await deletion(one, 'web-1');
    const clock = await it.run('begin-run', 'killed', 'a', 60_000, 15_000, 0, 600_000);
    await it.redis.del(`${it.prefix}:trigger:lease`);
    expect(await it.run('begin-run', 'next', 'b', 60_000, 15_000, 0, 600_000)).toBe(clock);
    expect(await it.run('end-run', 'killed', String(clock), 0, 0, '{}', '')).toBeNull();
    expect(await one.status()).toMatchObject({ state: 'running', pendingDeletes: 1, lastRun: null });
  });
});
