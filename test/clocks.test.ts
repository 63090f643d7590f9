import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ApiClient, apiClient } from './parts/api-client.ts';
import { registerNode } from './parts/chef-server.ts';
import { until } from './parts/process.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from './parts/service.ts';
import { instanceId, startWorld, type World } from './parts/world.ts';

/** Less than the quarter of an hour beyond which a Chef server refuses a request. */
const MINUTES_AHEAD = 12;
const AHEAD = {
  NODE_OPTIONS: `--import=${new URL('parts/clock-ahead.ts', import.meta.url).href}`,
  CLOCK_AHEAD_MINUTES: String(MINUTES_AHEAD),
};

let world: World;
let env: NodeJS.ProcessEnv;
let api: ApiClient;
let redis: Redis;
const running: ServiceProcess[] = [];

beforeAll(async () => {
  world = await startWorld({ hosts: ['watched'] });
  redis = new Redis(world.redis.url);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map(service => service.stop()));
});
afterAll(async () => {
  redis?.disconnect();
  await world?.stop();
});

/** A process of the installation whose API this test asks. */
async function serve(more: NodeJS.ProcessEnv): Promise<ServiceProcess> {
  const service = await startServiceProcess({ ...env, ...more });
  running.push(service);
  return service;
}

async function serveApi(settings: NodeJS.ProcessEnv = {}): Promise<void> {
  env = testEnvironment({ ...world.env, LOG_LEVEL: 'info', ...settings });
  api = apiClient((await serve({ ROLES: 'api' })).url);
}

async function deletionOf(name: string, instance: string): Promise<string> {
  await registerNode(world.chef, { name, instanceId: instance });
  return api.event({ kind: 'delete', node: name, instanceId: instance });
}

test('a deletion by a worker whose clock is ahead is covered by a chef-client run at once', async () => {
  await serveApi();
  const id = await deletionOf('early', instanceId(1));
  const ahead = await serve({ ...AHEAD, ROLES: 'worker', TRIGGER_SETTLE_SECONDS: '60' });
  await api.finished(id);
  await ahead.stop();
  expect(await api.trigger()).toMatchObject({ pendingDeletes: 1 });

  await serve({ ROLES: 'worker' });
  await expect.poll(() => api.trigger(), { timeout: 15_000 }).toMatchObject({ pendingDeletes: 0 });
});

test('a worker whose clock is ahead does not get around MAX_DELETES', async () => {
  await serveApi({ MAX_DELETES: '1', MAX_DELETES_WINDOW_MINUTES: '10' });
  for (const clock of [{}, AHEAD]) {
    await deletionOf(`one-of-two-${clock === AHEAD}`, instanceId(clock === AHEAD ? 3 : 2));
    const worker = await serve({ ...clock, ROLES: 'worker' });
    await until('every job to be at rest', async () =>
      (await api.jobs()).every(({ state }) => ['done', 'held'].includes(state)),
    );
    await worker.stop();
  }
  expect((await api.jobs()).map(({ state }) => state)).toEqual(['held', 'done']);
});

test('a node that a worker deleted whose clock is ahead is looked for again when its time comes, not later', async () => {
  await serveApi();
  const id = await deletionOf('looked-for', instanceId(4));
  await serve({ ...AHEAD, ROLES: 'worker' });
  await api.finished(id);
  const [seconds] = await redis.time();
  const due = Number(await redis.zscore(`${env['REDIS_PREFIX']}:zombies`, `${id}.0`));
  expect(due / 1000 - Number(seconds)).toBeLessThan(6 * 60);
});
