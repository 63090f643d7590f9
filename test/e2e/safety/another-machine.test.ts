import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyPair, registerNode } from '../../support/chef-server.ts';
import { type HttpProxy, startHttpProxy } from '../../support/http-proxy.ts';
import { until } from '../../support/process.ts';
import { GONE, minutesAgo, useScene, WHOLE } from '../../support/scene.ts';
import { instanceId, terminationNotice } from '../../support/termination.ts';

const scene = useScene();
/** In front of the Chef server. */
let proxy: HttpProxy;

beforeEach(async () => {
  proxy = await startHttpProxy(scene.world.chef.url);
});

afterEach(() => proxy.stop());

/** When the Chef server has done this for the first time, does something else, and drops the answer. */
function loseAnswer(done: string, meanwhile: () => Promise<unknown>): { times: number } {
  const lost = { times: 0 };
  proxy.watch = async ({ method, path, status }) => {
    if (`${method} ${path}` !== done || status !== 200 || lost.times > 0) return;
    lost.times += 1;
    await meanwhile();
    throw new Error('the connection breaks');
  };
  return lost;
}

test('a replacement that registers while the answer to DELETE /nodes is lost is not deleted', async () => {
  const name = 'node-answer-lost';
  const service = await scene.serve({ CHEF_SERVER_URL: proxy.url });
  await registerNode(scene.world.chef, { name, instanceId: instanceId(1), ownKey: true });
  const lost = loseAnswer(`DELETE /nodes/${name}`, () =>
    registerNode(scene.world.chef, { name, instanceId: instanceId(2), ownKey: true }),
  );
  await service.publish(terminationNotice(instanceId(1)));
  await service.rested();
  expect(lost.times).toBe(1);
  expect(await scene.registered(name)).toEqual(WHOLE);
});

test('a client that a replacement creates while the answer to DELETE /clients is lost is not deleted', async () => {
  const name = 'client-answer-lost';
  const service = await scene.serve({ CHEF_SERVER_URL: proxy.url });
  await registerNode(scene.world.chef, { name, instanceId: instanceId(3), ownKey: true });
  const lost = loseAnswer(`DELETE /clients/${name}`, () =>
    scene.world.chef.chef.createClient({ name, public_key: keyPair().publicKey }),
  );
  await service.publish(terminationNotice(instanceId(3)));
  await service.rested();
  expect(lost.times).toBe(1);
  expect(await scene.registered(name)).toMatchObject({ client: true });
});

test('a worker that was paused after a lost DELETE does not send it again after another worker has done the job', async () => {
  const name = 'worker-stopped';
  const front = await scene.serve({ ROLES: 'api' });
  const first = await scene.serve({ ...front.env, ROLES: 'worker', CHEF_SERVER_URL: proxy.url });
  await registerNode(scene.world.chef, { name, instanceId: instanceId(4), ownKey: true });
  let stopped = false;
  proxy.watch = ({ method, path, status }) => {
    if (method !== 'DELETE' || path !== `/nodes/${name}` || status !== undefined || stopped) return;
    stopped = first.child.kill('SIGSTOP');
    throw new Error('the connection breaks');
  };
  const id = await front.api.event({ kind: 'delete', node: name, instanceId: instanceId(4) });
  await until('the worker to be stopped', () => stopped);
  await scene.serve({ ...front.env, ROLES: 'worker' });
  await until('the other to do the job', async () => (await front.api.job(id)).state === 'done', 50_000);
  expect(await scene.registered(name)).toEqual(GONE);

  await registerNode(scene.world.chef, { name, instanceId: instanceId(5), ownKey: true });
  first.child.kill('SIGCONT');
  // It finishes what it was about to do before it stops.
  await first.stop();
  expect(await scene.registered(name)).toEqual(WHOLE);
}, 120_000);

test('a deletion signed by a host does not delete a machine that has taken its name with another key', async () => {
  const name = 'name-taken';
  const front = await scene.serve({ ROLES: 'api' });
  const { chef } = scene.world;
  const { privateKey } = await registerNode(chef, { name, ownKey: true, ohaiTime: minutesAgo(20) });
  const taken = await front.publish(scene.signed(privateKey, { method: 'delete', chef_name: name }));
  expect(taken.outcome).toBe('accepted');
  await chef.chef.deleteNode(name);
  await chef.chef.deleteClient(name);
  await registerNode(chef, { name, ownKey: true });

  await scene.serve({ ...front.env, ROLES: 'worker' });
  await front.rested();
  expect(await scene.registered(name)).toEqual(WHOLE);
});

test('an approval for one machine does not delete another machine that has the name now', async () => {
  const name = 'approved-for-another';
  const service = await scene.serve({ CHEF_SERVER_URL: proxy.url });
  const { chef } = scene.world;
  await registerNode(chef, { name, instanceId: instanceId(6), ownKey: true });
  const id = await service.api.event({ kind: 'delete', node: name, instanceId: instanceId(7) });
  await service.api.finished(id, 'held');

  let replaced = false;
  proxy.watch = ({ method, path }) => {
    if (method === 'DELETE' && path === `/clients/${name}` && !replaced) throw new Error('no connection');
  };
  await service.api.request('POST', `/jobs/${id}/approve`);
  await service.api.finished(id, 'retrying');
  await chef.chef.deleteNode(name);
  await chef.chef.deleteClient(name);
  await registerNode(chef, { name, instanceId: instanceId(8), ownKey: true });
  replaced = true;
  await service.rested();
  expect(await scene.registered(name)).toEqual(WHOLE);
});

test('a client without a node is not deleted if nothing says that it belongs to the instance of the event', async () => {
  const name = 'about-to-save-its-node';
  const service = await scene.serve();
  // chef-client has just registered it; its first run has not saved the node yet.
  await scene.world.chef.chef.createClient({ name, public_key: keyPair().publicKey });
  await service.api.event({ kind: 'delete', node: name, instanceId: instanceId(9) });
  await service.rested();
  expect(await scene.registered(name)).toEqual({ node: false, client: true });
});
