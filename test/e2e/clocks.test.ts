import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { registerNode } from '../support/chef-server.ts';
import { type SceneService, useScene } from '../support/scene.ts';
import { instanceId } from '../support/termination.ts';

const scene = useScene();
/** Twelve minutes are less than the quarter of an hour beyond which a Chef server refuses a request. */
const AHEAD = {
  NODE_OPTIONS: `--import=${new URL('../support/clock-ahead.ts', import.meta.url).href}`,
  CLOCK_AHEAD_MINUTES: '12',
};

async function deletionOf(name: string, instance: string, { api }: SceneService): Promise<string> {
  await registerNode(scene.world.chef, { name, instanceId: instance });
  return api.event({ kind: 'delete', node: name, instanceId: instance });
}

test('a deletion by a worker whose clock is ahead is covered by a chef-client run at once', async () => {
  const service = await scene.serve({ ROLES: 'api' });
  const id = await deletionOf('early', instanceId(1), service);
  const ahead = await scene.serve({
    ...service.env,
    ...AHEAD,
    ROLES: 'worker,trigger',
    TRIGGER_SETTLE_SECONDS: '60',
  });
  await service.api.finished(id);
  await ahead.stop();
  expect(await service.api.trigger()).toMatchObject({ pendingDeletes: 1 });

  await scene.serve({ ...service.env, ROLES: 'trigger' });
  await expect.poll(() => service.api.trigger(), { timeout: 15_000 }).toMatchObject({ pendingDeletes: 0 });
});

test('a worker whose clock is ahead does not get around MAX_DELETES', async () => {
  const service = await scene.serve({ ROLES: 'api', MAX_DELETES: '1', MAX_DELETES_WINDOW_MINUTES: '10' });
  for (const [at, clock] of [{}, AHEAD].entries()) {
    await deletionOf(`one-of-two-${at}`, instanceId(2 + at), service);
    const worker = await scene.serve({ ...service.env, ...clock, ROLES: 'worker' });
    await service.rested();
    await worker.stop();
  }
  expect((await service.api.jobs()).map(({ state }) => state)).toEqual(['held', 'done']);
});

test('a node that a worker deleted whose clock is ahead is looked for again when its time comes, not later', async () => {
  const service = await scene.serve({ ROLES: 'api' });
  const id = await deletionOf('looked-for', instanceId(4), service);
  await scene.serve({ ...service.env, ...AHEAD, ROLES: 'worker' });
  await service.api.finished(id);
  const redis = new Redis(scene.world.redis.url);
  const [seconds] = await redis.time();
  const due = Number(await redis.zscore(`${service.env['REDIS_PREFIX']}:zombies`, `${id}.0`));
  redis.disconnect();
  expect(due / 1000 - Number(seconds)).toBeLessThan(6 * 60);
});
