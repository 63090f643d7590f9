import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeOf, registerNode } from '../../support/chef-server.ts';
import { type Ec2StandIn, startEc2StandIn } from '../../support/ec2.ts';
import { GONE, minutesAgo, useScene, WHOLE } from '../../support/scene.ts';
import { instanceId, terminationNotice } from '../../support/termination.ts';

const scene = useScene();
let ec2: Ec2StandIn;

beforeAll(async () => {
  ec2 = await startEc2StandIn();
});

afterAll(() => ec2?.stop());

test('a deletion said before the host’s ensure deletes nothing, even if it is delivered after it', async () => {
  const host = { name: 'stopped-and-started', instanceId: instanceId(1) };
  const service = await scene.serve();
  const { privateKey } = await registerNode(scene.world.chef, { ...host, ohaiTime: minutesAgo(20) });
  const deliver = (method: string, time: Date) =>
    service.publish(
      scene.signed(privateKey, { method, chef_name: host.name, instance_id: host.instanceId }, time),
      { Timestamp: time.toISOString() },
    );
  const ensured = await deliver('ensure', minutesAgo(2));
  await service.api.finished(ensured.jobId);
  await deliver('delete', minutesAgo(5));
  await service.rested();
  expect(await scene.registered(host.name)).toEqual(WHOLE);
});

test('a discarded claim of a host does not block the termination that AWS tells of later', async () => {
  const victim = { name: 'victim', instanceId: instanceId(2) };
  const service = await scene.serve();
  await registerNode(scene.world.chef, victim);
  const liar = { name: 'liar', instanceId: instanceId(3), ownKey: true };
  const { privateKey } = await registerNode(scene.world.chef, liar);
  const claim = { method: 'delete', chef_name: liar.name, instance_id: victim.instanceId };
  const { jobId } = await service.publish(scene.signed(privateKey, claim));
  await service.api.finished(jobId, 'held');
  expect(await service.api.request('POST', `/jobs/${jobId}/discard`)).toMatchObject({ status: 202 });

  expect(await service.publish(terminationNotice(victim.instanceId))).toMatchObject({ outcome: 'accepted' });
  await service.rested();
  expect(await scene.registered(victim.name)).toEqual(GONE);
});

test('a discarded false alarm does not block the real termination', async () => {
  const host = { name: 'dies-later', instanceId: instanceId(4) };
  const service = await scene.serve({ ...ec2.env, VERIFY_EC2: 'true' });
  await registerNode(scene.world.chef, host);
  ec2.instances.set(host.instanceId, 'running');
  const alarm = terminationNotice(host.instanceId);
  const { jobId } = await service.publish(alarm, { Timestamp: minutesAgo(30).toISOString() });
  await service.api.finished(jobId, 'held');
  expect(await service.api.request('POST', `/jobs/${jobId}/discard`)).toMatchObject({ status: 202 });

  ec2.instances.set(host.instanceId, 'terminated');
  expect(await service.publish(terminationNotice(host.instanceId))).toMatchObject({ outcome: 'accepted' });
  await service.rested();
  expect(await scene.registered(host.name)).toEqual(GONE);
});

test('a person can delete a node again that came back after its deletion', async () => {
  const host = { name: 'came-back', instanceId: instanceId(5) };
  const service = await scene.serve();
  const deletion = { kind: 'delete', node: host.name, instanceId: host.instanceId };
  await registerNode(scene.world.chef, host);
  await service.api.finished(await service.api.event(deletion));
  expect(await scene.registered(host.name)).toEqual(GONE);

  await registerNode(scene.world.chef, host);
  await service.api.event(deletion);
  await service.rested();
  expect(await scene.registered(host.name)).toEqual(GONE);
});

test('a host that writes another’s instance id into its own node does not block the other’s termination', async () => {
  const victim = { name: 'dies-for-real', instanceId: instanceId(6) };
  const { chef } = scene.world;
  const service = await scene.serve();
  await registerNode(chef, victim);
  const imposter = { name: 'imposter', ownKey: true };
  const { privateKey } = await registerNode(chef, imposter);
  await chef.chef.updateNode(nodeOf({ ...imposter, instanceId: victim.instanceId }));
  const claim = { method: 'delete', chef_name: imposter.name, instance_id: victim.instanceId };
  await service.publish(scene.signed(privateKey, claim));
  await service.rested();

  await service.publish(terminationNotice(victim.instanceId));
  await service.rested();
  expect(await scene.registered(victim.name)).toEqual(GONE);
});
