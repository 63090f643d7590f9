import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { apiClient } from '../support/api-client.ts';
import { registerNode } from '../support/chef-server.ts';
import { freePort, until } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;
const services: ServiceProcess[] = [];

beforeAll(async () => {
  world = await startWorld({ hosts: ['crash', 'other'] });
});

afterEach(async () => {
  await Promise.all(services.splice(0).map(service => service.stop()));
});

afterAll(() => world?.stop());

async function startIt(env: NodeJS.ProcessEnv): Promise<ServiceProcess> {
  const service = await startServiceProcess(env);
  services.push(service);
  return service;
}

function environment(env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return testEnvironment({ ...world.env, LOG_LEVEL: 'info', ...env });
}

describe('start', () => {
  test('with bad settings names every fault at once and exits 2', () => {
    const { status, stderr } = spawnSync(process.execPath, ['src/main.ts'], {
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'],
        PORT: '70000',
        ROLES: 'api,cook',
        NAGIOS_DATE_FORMAT: 'french',
        CHEF_SERVER_URL: 'chef',
        API_TOKENS: 'ops:a-secret-that-is-too-',
        TRIGGER_SETTLE_SECONDS: 'soon',
      },
    });
    expect(status).toBe(2);
    for (const name of [
      'PORT',
      'ROLES',
      'NAGIOS_DATE_FORMAT',
      'CHEF_SERVER_URL',
      'CHEF_CLIENT_NAME',
      'CHEF_CLIENT_KEY',
    ]) {
      expect(stderr).toMatch(new RegExp(`^  ${name}: `, 'm'));
    }
    expect(stderr).toContain('TRIGGER_SETTLE_SECONDS');
    expect(stderr).not.toContain('a-secret');
  });

  test('without any Chef settings says which to set and exits 2', () => {
    const { status, stderr } = spawnSync(process.execPath, ['src/main.ts'], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: '/nonexistent', REDIS_URL: world.redis.url },
    });
    expect(status).toBe(2);
    expect(stderr).toMatch(/CHEF_SERVER_URL.*not set.*\/nonexistent\/\.chef\/credentials/);
  });

  test('with a Redis that may evict is refused', async () => {
    const redis = await startRedis({ maxmemoryPolicy: 'allkeys-lru' });
    const { status, stderr } = spawnSync(process.execPath, ['src/main.ts'], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...environment({ REDIS_URL: redis.url }) },
    });
    expect(status).toBe(1);
    expect(stderr).toContain('maxmemory-policy noeviction');
    await redis.stop();
  });

  test('with Chef and Nagios away goes on; readiness and log say what is missing', async () => {
    const port = await freePort();
    const service = await startIt(
      environment({
        CHEF_SERVER_URL: `http://127.0.0.1:${port}`,
        NAGIOS_URL: `http://127.0.0.1:${port}/nagios/`,
      }),
    );
    const { status, body } = await apiClient(service.url).request('GET', '/readyz');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      redis: 'ok',
      chef: expect.stringContaining('ECONNREFUSED'),
      nagios: expect.stringContaining('ECONNREFUSED'),
    });
    await until(
      'the log to say so',
      () => /"part":"chef"/.test(service.output()) && /"part":"nagios"/.test(service.output()),
    );
    // Strangers read it too: addresses are in the log alone.
    expect(JSON.stringify(body)).not.toContain(String(port));
    expect(service.output()).toContain(`http://127.0.0.1:${port}/nagios/`);
  });

  test('before Redis: refuses events until it is there, then works', async () => {
    const port = await freePort();
    const service = await startIt(environment({ REDIS_URL: `redis://127.0.0.1:${port}` }));
    const api = apiClient(service.url);
    expect((await api.request('GET', '/readyz')).status).toBe(503);
    expect((await api.request('POST', '/events', { kind: 'delete', node: 'late' })).status).toBe(503);
    const redis = await startRedis({ port });
    await until('readiness', async () => (await api.request('GET', '/readyz')).status === 200);
    await api.event({ kind: 'delete', node: 'late' });
    await api.settled();
    await service.stop();
    await redis.stop();
  });

  test('of API and worker as two processes, the worker last: the job waits for it', async () => {
    const env = environment();
    const api = await startIt({ ...env, ROLES: 'api' });
    await apiClient(api.url).event({ kind: 'delete', node: 'two-processes' });
    const worker = await startIt({ ...env, ROLES: 'worker' });
    await apiClient(api.url).settled();
    expect((await apiClient(worker.url).request('GET', '/jobs')).status).toBe(404);
    expect((await apiClient(worker.url).request('GET', '/readyz')).status).toBe(200);
  });

  test('with the role trigger in a process of its own: no other process runs chef-client', async () => {
    const env = environment();
    await registerNode(world.chef, { name: 'covered-elsewhere' });
    const api = apiClient((await startIt({ ...env, ROLES: 'api,worker' })).url);
    await api.event({ kind: 'delete', node: 'covered-elsewhere' });
    await api.settled();
    expect(await api.trigger()).toMatchObject({ state: 'waiting', pendingDeletes: 1, lastRun: null });
    const before = Date.now();
    await startIt({ ...env, ROLES: 'trigger' });
    const run = await until('the chef-client run', async () => (await api.trigger()).lastRun);
    expect(Date.parse(run.startedAt)).toBeGreaterThanOrEqual(before);
  });
});

describe('stop', () => {
  test('by SIGTERM ends with 0, and what is not finished is finished by the next', async () => {
    const env = environment();
    await registerNode(world.chef, { name: 'other' });
    const first = await startIt(env);
    const id = await apiClient(first.url).event({ kind: 'delete', node: 'other' });
    await first.stop('SIGTERM');
    expect(first.child.exitCode).toBe(0);
    const second = await startIt(env);
    await apiClient(second.url).settled();
    expect(await apiClient(second.url).job(id)).toMatchObject({ state: 'done' });
    expect(await world.chef.chef.getNode('other')).toBeUndefined();
  });

  test('by kill -9 in the middle of a deletion: the next start completes it, and asks for one downtime only', async () => {
    const env = environment();
    await registerNode(world.chef, { name: 'crash' });
    const first = await startIt(env);
    // With the Chef server stopped in its tracks the job gets as far as its downtime, or not even there.
    const id = await apiClient(first.url).event({ kind: 'delete', node: 'crash' });
    await until('the downtime', async () => {
      const { steps } = await apiClient(first.url).job(id);
      return steps.some(step => step.name === 'downtime');
    });
    first.child.kill('SIGKILL');
    await until('its termination', () => first.child.signalCode === 'SIGKILL');

    const second = await startIt(env);
    await apiClient(second.url).settled();
    const job = await apiClient(second.url).job(id);
    expect(job.steps.map(step => step.state)).toEqual(job.steps.map(() => 'done'));
    expect(await world.chef.chef.getNode('crash')).toBeUndefined();
    const ours = (await world.nagios.downtimes()).filter(downtime => downtime.comment.includes(id));
    expect(ours.filter(downtime => downtime.type === 2)).toHaveLength(1);
  });
});
