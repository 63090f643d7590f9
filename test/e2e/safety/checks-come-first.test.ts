import { expect, test } from 'vitest';
import { registerNode } from '../../support/chef-server.ts';
import { minutesAgo, type SceneService, useScene, WHOLE } from '../../support/scene.ts';
import { instanceId, terminationNotice } from '../../support/termination.ts';

const scene = useScene({ hosts: ['lives-1', 'lives-2', 'lives-3'] });

/** Publishes a termination of a host on which chef-client ran 25 minutes after it was said. */
async function heldAlive(service: SceneService, number: number): Promise<string> {
  const host = { name: `lives-${number}`, instanceId: instanceId(number), ohaiTime: minutesAgo(5) };
  await registerNode(scene.world.chef, host);
  const published = minutesAgo(30).toISOString();
  const { jobId } = await service.publish(terminationNotice(host.instanceId), { Timestamp: published });
  await service.api.finished(jobId, 'held');
  expect(await scene.registered(host.name)).toEqual(WHOLE);
  return host.name;
}

test('no downtime is scheduled for a host on which chef-client ran since', async () => {
  const name = await heldAlive(await scene.serve(), 1);
  const commands = scene.world.nagios.requests.filter(({ method }) => method === 'POST');
  expect(commands.filter(({ form }) => form.get('host') === name)).toEqual([]);
});

test('a node on which chef-client ran since is not archived', async () => {
  const service = await scene.serve();
  const name = await heldAlive(service, 2);
  const { body } = await service.api.request('GET', `/archives?node=${name}`);
  expect(body).toMatchObject({ archives: [] });
});

test('a deletion that is held because chef-client ran since does not count for MAX_DELETES', async () => {
  const service = await scene.serve({ MAX_DELETES: '1' });
  await heldAlive(service, 3);
  await registerNode(scene.world.chef, { name: 'really-dead', instanceId: instanceId(4) });
  const { jobId } = await service.publish(terminationNotice(instanceId(4)));
  await service.rested();
  expect(await service.api.job(jobId)).toMatchObject({ state: 'done' });
});
