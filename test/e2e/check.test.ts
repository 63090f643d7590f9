import { execFile } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshDirectory } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { testEnvironment } from '../support/service.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;

beforeAll(async () => {
  world = await startWorld({ hosts: ['somebody'], queueId: 'checked' });
});

afterAll(() => world?.stop());

/** The command as people type it, with the settings of a service that has all it needs, but for those given. */
function check(
  env: NodeJS.ProcessEnv,
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
  const whole = {
    PATH: process.env['PATH'],
    HOME: freshDirectory('home'),
    ...testEnvironment(world.env),
    ...env,
  };
  return new Promise(resolve => {
    const child = execFile(process.execPath, [main, 'check', ...args], { env: whole }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

test('all that the settings name is there: every part is ok', async () => {
  const { code, stdout, stderr } = await check({ PROVISION: 'true' });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.split('\n').map(line => line.split(/\s+/).slice(0, 2).join(' '))).toEqual([
    'ok settings',
    'ok redis',
    'ok chef',
    'ok nagios',
    'ok archive',
    'ok aws',
    'ok chef-client',
    '',
  ]);
});

test('what is not configured is shown, and is not a fault', async () => {
  const { code, stdout } = await check({
    QUEUE_ID: '',
    NAGIOS_URL: '',
    NAGIOS_USERNAME: '',
    NAGIOS_PASSWORD: '',
  });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^unused +nagios +NAGIOS_URL is not set/m);
  expect(stdout).toMatch(/^unused +aws +QUEUE_ID is not set/m);
});

test('each part that is missing is a fault with what to do', async () => {
  const nowhere = 'http://127.0.0.1:1';
  const { code, stdout } = await check({
    REDIS_URL: 'redis://127.0.0.1:1',
    CHEF_SERVER_URL: nowhere,
    NAGIOS_URL: nowhere,
    QUEUE_ID: 'absent',
    PROVISION: 'false',
    ARCHIVE_URL: 'file:///dev/null/archive',
    CHEF_CLIENT_COMMAND: '/nowhere/chef-client',
  });
  expect(code).toBe(1);
  expect(stdout).toMatch(/^ok +settings/m);
  expect(stdout).toMatch(/^fault +redis +Redis cannot be reached: is it up, and REDIS_URL right\?/m);
  expect(stdout).toMatch(/^fault +chef +/m);
  expect(stdout).toMatch(/^fault +nagios +/m);
  expect(stdout).toMatch(/^fault +archive +the archive \/dev\/null\/archive cannot be written/m);
  expect(stdout).toMatch(/^fault +aws .*queue-absent.*set PROVISION=true/m);
  expect(stdout).toMatch(/^fault +chef-client +\/nowhere\/chef-client cannot be run/m);
});

test('a Redis that would lose jobs is a fault, one without an append-only file is a warning', async () => {
  const [evicting, forgetful] = await Promise.all([
    startRedis({ maxmemoryPolicy: 'allkeys-lru' }),
    startRedis({ appendonly: 'no' }),
  ]);
  expect((await check({ REDIS_URL: evicting.url })).stdout).toMatch(/^fault +redis .*maxmemory-policy/m);
  expect((await check({ REDIS_URL: forgetful.url })).stdout).toMatch(/^ok +redis .*append-only/m);
  await Promise.all([evicting.stop(), forgetful.stop()]);
});

test('for programs it tells the same in JSON', async () => {
  const { code, stdout } = await check({ NAGIOS_URL: 'http://127.0.0.1:1', QUEUE_ID: '' }, '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toEqual([
    { part: 'settings', state: 'ok' },
    { part: 'redis', state: 'ok' },
    { part: 'chef', state: 'ok' },
    { part: 'nagios', state: 'fault', note: expect.stringContaining('127.0.0.1:1') },
    { part: 'archive', state: 'ok' },
    { part: 'aws', state: 'unused', note: expect.stringContaining('QUEUE_ID is not set') },
    { part: 'chef-client', state: 'ok' },
  ]);
});

test('settings that cannot be used end it with 2, and all of them are named', async () => {
  const { code, stderr } = await check({ PORT: 'x', NAGIOS_DATE_FORMAT: 'y' });
  expect(code).toBe(2);
  expect(stderr).toContain('PORT');
  expect(stderr).toContain('NAGIOS_DATE_FORMAT');
});
