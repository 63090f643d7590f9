import { afterEach, beforeEach, expect, test } from 'vitest';
import { registerNode } from '../../support/chef-server.ts';
import { type HttpProxy, startHttpProxy } from '../../support/http-proxy.ts';
import { until } from '../../support/process.ts';
import { useScene, WHOLE } from '../../support/scene.ts';
import { instanceId, terminationNotice } from '../../support/termination.ts';

const NAME = 'silenced-1';
const scene = useScene({ hosts: [NAME, 'silenced-2'] });
let proxy: HttpProxy;

beforeEach(async () => {
  proxy = await startHttpProxy(scene.world.chef.url);
});

afterEach(() => proxy.stop());

async function downtimesOf(jobId: string): Promise<number> {
  return (await scene.world.nagios.downtimes()).filter(({ comment }) => comment.includes(jobId)).length;
}

/** Once the job has put the host into downtime and archived it, a new machine takes its name. */
function replaceAfterArchive(name: string, next: number): void {
  let done = false;
  proxy.watch = async ({ method, path, status }) => {
    if (done || method !== 'GET' || path !== `/nodes/${name}` || status !== undefined) return;
    const earlier = proxy.requests.filter(each => each.method === 'GET' && each.path === path).length;
    // The look for the node, the guard's and the archive's come first.
    if (earlier < 4) return;
    done = true;
    const { chef } = scene.world;
    await Promise.all([chef.chef.deleteNode(name), chef.chef.deleteClient(name)]);
    await registerNode(chef, { name, instanceId: instanceId(next), ownKey: true });
  };
}

test('a downtime is cancelled if the host turns out to be another machine before anything was removed', async () => {
  const service = await scene.serve({ CHEF_SERVER_URL: proxy.url });
  await registerNode(scene.world.chef, { name: NAME, instanceId: instanceId(1), ownKey: true });
  replaceAfterArchive(NAME, 2);
  const { jobId } = await service.publish(terminationNotice(instanceId(1)));
  const job = await service.api.finished(jobId, 'held');
  expect(job.steps.find(({ name }) => name === 'archive')).toMatchObject({ state: 'done' });
  expect(job.steps.find(({ name }) => name === 'cancel-downtime')).toMatchObject({
    state: 'done',
    note: expect.stringContaining(NAME),
  });
  await until('no downtime', async () => (await downtimesOf(jobId)) === 0);
  expect(await scene.registered(NAME)).toEqual(WHOLE);
});

test('a deletion that removed nothing gives its part of the budget back', async () => {
  const service = await scene.serve({ CHEF_SERVER_URL: proxy.url, MAX_DELETES: '1' });
  await registerNode(scene.world.chef, { name: 'silenced-2', instanceId: instanceId(3), ownKey: true });
  replaceAfterArchive('silenced-2', 4);
  const { jobId } = await service.publish(terminationNotice(instanceId(3)));
  await service.api.finished(jobId, 'held');
  await registerNode(scene.world.chef, { name: 'really-ended', instanceId: instanceId(5) });
  const other = await service.publish(terminationNotice(instanceId(5)));
  await service.rested();
  expect(await service.api.job(other.jobId)).toMatchObject({ state: 'done', result: 'deleted' });
});
