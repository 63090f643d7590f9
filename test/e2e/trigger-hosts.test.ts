import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { longestRunMs } from '../../src/jobs/chef-client-run/command.ts';
import { hostLock } from '../../src/jobs/chef-client-run/host-lock.ts';
import { Trigger, type TriggerOptions } from '../../src/jobs/chef-client-run/trigger.ts';
import type { RunScript } from '../../src/jobs/scripts.ts';
import { keyPair } from '../support/chef-server.ts';
import { openStore, says, type TestStore } from '../support/jobs/store-fixture.ts';
import { letTimePass } from '../support/jobs/trigger-protocol.ts';
import { freshDirectory, start, until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';

/** A host is distinguished from another by the directory that has its lock. */
type HostName = 'a' | 'b';

let server: RedisServer;
let it: TestStore;
let directory: string;
let triggers: Trigger[];
let services: ServiceProcess[];

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(() => {
  it = openStore(server.url);
  directory = freshDirectory('hosts');
  for (const host of ['a', 'b']) mkdirSync(`${directory}/${host}`);
  [triggers, services] = [[], []];
});
afterEach(async () => {
  vi.restoreAllMocks();
  letGo();
  await Promise.all([...triggers.map(one => one.close()), ...services.map(service => service.stop())]);
  it.close();
});
afterAll(() => server?.stop());

/** chef-client's stand-in runs until the test lets it go. */
const WAITS = 'echo begin >> log; until [ -e go ]; do sleep 0.02; done; echo end >> log';
const letGo = () => writeFileSync(`${directory}/go`, '');
/** `begin` and `end` of each run on all hosts so far. */
const marks = () =>
  existsSync(`${directory}/log`) ? readFileSync(`${directory}/log`, 'utf8').trim().split('\n') : [];
const begun = () => until('a run to begin', () => marks().length > 0);

function script(text: string): string[] {
  const path = `${directory}/chef-client`;
  writeFileSync(path, `#!/bin/sh\ncd ${directory} && ${text}\n`, { mode: 0o755 });
  return [path];
}

const lockDirectory = (host: HostName) => `${directory}/${host}`;

/** A process with the role `trigger`, as far as this test drives it. */
function trigger(command: string[], options: Partial<TriggerOptions> = {}, run: RunScript = it.run): Trigger {
  const all = { prefix: it.prefix, command, settleMs: 0, timeoutMs: 60_000, ...options };
  const made = new Trigger(it.redis, run, all, pino({ level: 'silent' }));
  triggers.push(made);
  return made;
}

/** The service itself, in a process that can be killed. */
async function serve(host: HostName, command: string[], timeoutSeconds = 60): Promise<ServiceProcess> {
  const service = await startServiceProcess(
    testEnvironment({
      LOG_LEVEL: 'info',
      REDIS_URL: server.url,
      REDIS_PREFIX: it.prefix,
      ROLES: 'trigger',
      RUNTIME_DIRECTORY: lockDirectory(host),
      CHEF_CLIENT_COMMAND: command.join(' '),
      TRIGGER_TIMEOUT_SECONDS: String(timeoutSeconds),
      CHEF_SERVER_URL: 'http://127.0.0.1:1',
      CHEF_CLIENT_NAME: 'nobody',
      CHEF_CLIENT_KEY: keyPair().privateKey,
    }),
  );
  services.push(service);
  return service;
}

async function deletion(node: string): Promise<void> {
  const { jobId, tokens } = await it.accept(says('delete', node));
  await it.run('stamp', jobId);
  await it.work(tokens);
}

/** Whether a process of this host could begin a run now; the run that could is begun, but no command. */
async function mayBegin(host: HostName, command: string[], owner = 'another process'): Promise<boolean> {
  const { identity } = hostLock(command, lockDirectory(host));
  return (await it.run('begin-run', owner, identity, 60_000, 15_000, 0, 600_000)) !== null;
}

const field = (name: string) => it.redis.hget(`${it.prefix}:trigger`, name);
const key = (name: string) => `${it.prefix}:trigger:${name}`;
const covered = () =>
  until('every deletion to be covered', async () => !(await it.redis.zcard(key('uncovered'))), 45_000);

describe('the run of a service that was killed', () => {
  test('keeps other hosts from starting one; a service of its own host begins the next when it has ended', async () => {
    const command = script(WAITS);
    await deletion('web-1');
    const first = await serve('a', command);
    await begun();
    await first.stop('SIGKILL');
    trigger(command).start(lockDirectory('b'));
    const again = trigger(command);
    again.start(lockDirectory('a'));
    await until('the owner to count as dead', async () => !(await it.redis.exists(key('alive'))));
    await until('the other service of the host to find the lock held', () => field('busySince'));
    expect(await again.status()).toMatchObject({ state: 'running', pendingDeletes: 1, lastRun: null });
    expect(marks()).toEqual(['begin']);
    letGo();
    await covered();
    expect(marks()).toEqual(['begin', 'end', 'begin', 'end']);
  });

  test('is over when another host begins one, even if nobody is left on its own host and it would not end', async () => {
    const command = script(
      `echo begin >> log; trap '' TERM; [ -e hangs ] && { echo end >> log; exit; }; echo $$ > hangs; while :; do sleep 1; done`,
    );
    await deletion('web-1');
    const first = await serve('a', command, 1);
    await begun();
    await first.stop('SIGKILL');
    const hangs = () => existsSync(`/proc/${readFileSync(`${directory}/hangs`, 'utf8').trim()}`);
    expect(hangs()).toBe(true);
    trigger(command).start(lockDirectory('b'));
    await until('the other host to begin', () => marks().length > 1, 45_000);
    expect(hangs()).toBe(false);
    await covered();
    expect(marks()).toEqual(['begin', 'begin', 'end']);
  });
});

describe('a service that stops', () => {
  test('ends its run, and another host begins one at once', async () => {
    const command = script(WAITS);
    await deletion('web-1');
    const first = await serve('a', command);
    await begun();
    await first.stop('SIGTERM');
    expect(await it.redis.exists(key('lease'))).toBe(0);
    letGo();
    trigger(command).start(lockDirectory('b'));
    await covered();
    expect(marks()).toEqual(['begin', 'begin', 'end']);
  });

  test('keeps other hosts waiting if the command says that its run goes on', async () => {
    const command = script(`trap 'exit 75' TERM; echo begin >> log; while :; do sleep 0.02; done`);
    await deletion('web-1');
    const first = trigger(command);
    first.start(lockDirectory('a'));
    await begun();
    await first.close();
    expect(await first.status()).toMatchObject({ state: 'running', lastRun: { exitCode: 75 } });
    await letTimePass(it, 600_000);
    expect(await mayBegin('b', command)).toBe(false);
    expect(await mayBegin('a', command)).toBe(true);
  });
});

describe('the lease', () => {
  test('lasts longer than the longest run, from before its start', async () => {
    const command = script(WAITS);
    await deletion('web-1');
    trigger(command, { timeoutMs: 1_800_000 }).start(lockDirectory('a'));
    await begun();
    expect(await it.redis.pttl(key('lease'))).toBeGreaterThan(longestRunMs(1_800_000));
  });

  test('is not taken from a process that lives, by another one of the same host', async () => {
    const command = script(WAITS);
    await deletion('web-1');
    const first = trigger(command);
    first.start(lockDirectory('a'));
    await begun();
    expect(await mayBegin('a', command)).toBe(false);
    letGo();
    await covered();
    expect((await first.status()).lastRun).toMatchObject({ exitCode: 0 });
  });

  test('is kept alive by its owner while the run lasts', async () => {
    const command = script(WAITS);
    await deletion('web-1');
    trigger(command).start(lockDirectory('a'));
    await begun();
    const claim = await it.redis.pttl(key('alive'));
    await until('the claim to be renewed', async () => {
      const left = await it.redis.pttl(key('alive'));
      return left < claim - 1_000 ? 'it runs out' : false;
    });
    await until(
      'the claim to last longer again',
      async () => (await it.redis.pttl(key('alive'))) > claim - 1_000,
    );
  });

  test('is given back, and no run begun, by a process that was paused for long when it got it', async () => {
    const command = script(WAITS);
    await deletion('web-1');
    const now = performance.now.bind(performance);
    let paused = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now() + paused);
    const pausing: RunScript = async (name, ...args) => {
      const reply = await it.run(name, ...args);
      if (name === 'begin-run' && reply !== null) paused += 15_001;
      return reply;
    };
    const late = trigger(command, {}, pausing);
    late.start(lockDirectory('a'));
    await until('the lease to be given back', () => field('notBefore'));
    await late.close();
    expect(await it.redis.exists(key('lease'))).toBe(0);
    expect(marks()).toEqual([]);
    expect(await mayBegin('b', command)).toBe(true);
  });

  test('of the release before, which named no lock, is waited for', async () => {
    const command = script(WAITS);
    await deletion('web-1');
    await it.redis.set(key('lease'), '4a0c8a4e-6b0a-4f3c-9d55-0c9d7c1f4c11', 'PX', 15_000);
    expect(await mayBegin('a', command)).toBe(false);
    await it.redis.del(key('lease'));
    expect(await mayBegin('a', command)).toBe(true);
  });
});

describe('a lock that stays held', () => {
  test('raises an alert once that lasts longer than a run may, and lslocks names the holder', async () => {
    const command = script(WAITS);
    const said: string[] = [];
    await deletion('web-1');
    const { path } = hostLock(command, lockDirectory('a'));
    const holder = await start('flock', {
      args: ['--no-fork', path, 'sh', '-c', 'echo held; exec sleep 600'],
      ready: /held/,
    });
    const blocked = trigger(command, { onBlocked: what => said.push(what) });
    blocked.start(lockDirectory('a'));
    await until('the lock to be found held', () => field('busySince'));
    await letTimePass(it, longestRunMs(60_000) / 2);
    const before = await field('notBefore');
    await until('the lock to be found held again', async () => (await field('notBefore')) !== before);
    expect(said).toEqual([]);
    await letTimePass(it, longestRunMs(60_000) / 2);
    expect(await until('the alert', () => said[0])).toContain(`its lock is ${path}`);

    const held = execFileSync('lslocks', ['--noheadings', '--output', 'PID,PATH'], { encoding: 'utf8' });
    expect(held.split('\n').map(line => line.trim())).toContain(`${holder.child.pid} ${path}`);
    await holder.stop();
    letGo();
    await covered();
    expect(await field('busySince')).toBeNull();
  });
});
