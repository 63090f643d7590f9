import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyPair, registerNode } from '../../support/chef-server.ts';
import { type Ec2StandIn, startEc2StandIn } from '../../support/ec2.ts';
import { until } from '../../support/process.ts';
import { GONE, useScene, WHOLE } from '../../support/scene.ts';
import { TOKEN } from '../../support/service.ts';
import { instanceId, terminationNotice } from '../../support/termination.ts';

const scene = useScene();
let ec2: Ec2StandIn;

beforeAll(async () => {
  ec2 = await startEc2StandIn();
});

afterAll(() => ec2?.stop());

const unsigned = (name: string) => ({ type: 'registration', method: 'delete', chef_name: name });

test('an approved quarantined message is carried out', async () => {
  const service = await scene.serve();
  await registerNode(scene.world.chef, { name: 'signs-nothing' });
  const { outcome, jobId } = await service.publish(unsigned('signs-nothing'));
  expect(outcome).toBe('quarantined');
  expect(await service.api.request('POST', `/jobs/${jobId}/approve`)).toMatchObject({ status: 202 });
  await service.api.finished(jobId);
  expect(await scene.registered('signs-nothing')).toEqual(GONE);
});

test('quarantined messages can be discarded all at once', async () => {
  const service = await scene.serve();
  for (const name of ['nobody-1', 'nobody-2', 'nobody-3']) await service.publish(unsigned(name));
  expect(await service.api.request('POST', '/jobs/discard')).toMatchObject({ body: { count: 3 } });
  const states = (await service.api.jobs()).map(({ state }) => state);
  expect(states).toEqual(['discarded', 'discarded', 'discarded']);
});

test('approving that the instance differs does not approve that the node is protected', async () => {
  const service = await scene.serve({ PROTECTED_NODES: 'db-*' });
  await registerNode(scene.world.chef, { name: 'db-9', instanceId: instanceId(1) });
  const id = await service.api.event({ kind: 'delete', node: 'db-9', instanceId: instanceId(2) });
  const held = await service.api.finished(id, 'held');
  expect(held.error?.message).not.toContain('PROTECTED_NODES');
  await service.api.request('POST', `/jobs/${id}/approve`);
  await service.rested();
  expect(await scene.registered('db-9')).toEqual(WHOLE);
});

test('approving all jobs over the budget approves no job whose instance lives', async () => {
  const asksEc2 = { ...ec2.env, VERIFY_EC2: 'true' };
  const first = await scene.serve({ ...asksEc2, MAX_DELETES: '1' });
  const nodes = { 'dead-1': 'terminated', 'dead-2': 'terminated', 'lives-on': 'running' };
  for (const [at, [name, state]] of Object.entries(nodes).entries()) {
    const instance = instanceId(10 + at);
    await registerNode(scene.world.chef, { name, instanceId: instance });
    ec2.instances.set(instance, state);
    await first.publish(terminationNotice(instance));
  }
  await first.rested();
  expect((await first.api.jobs('state=held')).map(({ node }) => node).sort()).toEqual(['dead-2', 'lives-on']);
  await first.stop();

  const second = await scene.serve({ ...first.env, MAX_DELETES: '50' });
  // The first lacks the reason, and is refused.
  for (const query of ['kind=delete', 'error=over-budget']) {
    await second.api.request('POST', `/jobs/approve?${query}`);
    await second.rested();
  }
  expect(await scene.registered('lives-on')).toEqual(WHOLE);
  expect(await scene.registered('dead-2')).toEqual(GONE);
});

test('a host cannot restore itself with an archived key after a person asked for its deletion', async () => {
  const host = { name: 'stolen-key', instanceId: instanceId(20) };
  const service = await scene.serve();
  const { privateKey } = await registerNode(scene.world.chef, { ...host, ownKey: true });
  const { jobId } = await service.publish(terminationNotice(host.instanceId));
  await service.api.finished(jobId);
  await service.api.event({ kind: 'delete', node: host.name, reason: 'its key was stolen' });
  await service.rested();
  const ensure = { method: 'ensure', chef_name: host.name, instance_id: host.instanceId };
  await service.publish(scene.signed(privateKey, ensure));
  await service.rested();
  expect(await scene.registered(host.name)).toEqual(GONE);
});

test('a validator client is never deleted', async () => {
  const name = 'acme-validator';
  const service = await scene.serve();
  const { publicKey } = keyPair();
  await scene.world.chef.chef.createClient({ name, public_key: publicKey, validator: true });
  await service.api.event({ kind: 'delete', node: name });
  await service.rested();
  expect(await scene.registered(name)).toMatchObject({ client: true });
});

test('the service’s own Chef client is never deleted', async () => {
  const name = 'deregistration';
  const { publicKey, privateKey } = keyPair();
  await scene.world.chef.chef.createClient({ name, public_key: publicKey, admin: true });
  const service = await scene.serve({ CHEF_CLIENT_NAME: name, CHEF_CLIENT_KEY: privateKey });
  await service.api.request('POST', '/events', { kind: 'delete', node: name });
  // Without that client the job would be tried again for hours.
  await until('the job to be worked', async () =>
    (await service.api.jobs()).every(({ state }) => state !== 'queued' && state !== 'running'),
  );
  expect(await scene.registered(name)).toMatchObject({ client: true });
});

test('an approval of what was shown earlier is refused if the job has been held again since', async () => {
  const service = await scene.serve();
  const name = 'shown-earlier';
  const { chef } = scene.world;
  await registerNode(chef, { name, instanceId: instanceId(30), ownKey: true });
  const id = await service.api.event({ kind: 'delete', node: name, instanceId: instanceId(31) });
  await service.api.finished(id, 'held');
  const headers = { authorization: `Bearer ${TOKEN}` };
  const approve = (tag: string) =>
    fetch(`${service.url}/jobs/${id}/approve`, { method: 'POST', headers: { ...headers, 'if-match': tag } });
  const tagOf = async () => (await fetch(`${service.url}/jobs/${id}`, { headers })).headers.get('etag') ?? '';
  const shown = await tagOf();

  // Meanwhile the machine is replaced, somebody asks again, and the job is held for the new machine.
  await Promise.all([chef.chef.deleteNode(name), chef.chef.deleteClient(name)]);
  await registerNode(chef, { name, instanceId: instanceId(32), ownKey: true });
  await service.api.request('POST', `/jobs/${id}/approve`);
  await until('the job to be held again', async () => {
    const job = await service.api.job(id);
    return job.state === 'held' && job.machine?.instanceId === instanceId(32);
  });
  expect((await approve(shown)).status).toBe(409);
  await service.rested();
  expect(await scene.registered(name)).toEqual(WHOLE);
  expect((await approve(await tagOf())).status).toBe(202);
});
