import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { apiClient } from '../support/api-client.ts';
import { type ChefServer, registerNode, startChefServer } from '../support/chef-server.ts';
import { type HttpProxy, startHttpProxy } from '../support/http-proxy.ts';
import { until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';

let redis: RedisServer;
let chef: ChefServer;
const open: { stop: () => Promise<void> }[] = [];

beforeAll(async () => {
  [redis, chef] = await Promise.all([startRedis(), startChefServer()]);
});
afterEach(async () => {
  for (const last of open.splice(0).reverse()) await last.stop();
});
afterAll(async () => {
  await Promise.all([redis?.stop(), chef?.stop()]);
});

function environment(): NodeJS.ProcessEnv {
  return testEnvironment({
    LOG_LEVEL: 'info',
    REDIS_URL: redis.url,
    CHEF_SERVER_URL: chef.url,
    CHEF_CLIENT_NAME: chef.adminName,
    CHEF_CLIENT_KEY: chef.adminKey,
    MAX_DELETES: '1000',
  });
}

async function startIt(env: NodeJS.ProcessEnv): Promise<ServiceProcess> {
  const service = await startServiceProcess(env);
  open.push(service);
  return service;
}

/** A worker whose way to the Chef server is watched. */
async function startWatched(env: NodeJS.ProcessEnv): Promise<{ worker: ServiceProcess; proxy: HttpProxy }> {
  const proxy = await startHttpProxy(chef.url);
  open.push(proxy);
  return { worker: await startIt({ ...env, ROLES: 'worker', CHEF_SERVER_URL: proxy.url }), proxy };
}

const deletions = (proxy: HttpProxy) => proxy.requests.filter(({ method }) => method === 'DELETE');

test.each([
  ['before it asks for the node', undefined],
  ['when it has heard that the node is there', 200],
])(
  'a worker that is stopped %s, and goes on after another took its job over, deletes nothing',
  async (_, status) => {
    const env = environment();
    const node = `stopped-${status}`;
    await registerNode(chef, { name: node });
    const api = apiClient((await startIt({ ...env, ROLES: 'api' })).url);
    const stopped = await startWatched(env);
    let times = 0;
    stopped.proxy.watch = async request => {
      const archived = async () =>
        (await api.jobs()).some(job => job.steps.some(step => step.name === 'archive'));
      if (request.path !== `/nodes/${node}` || request.status !== status || !(await archived())) return;
      if (times++ === 0) stopped.worker.child.kill('SIGSTOP');
    };
    const id = await api.event({ kind: 'delete', node });
    await until('the worker to be past the archive', async () =>
      (await api.job(id)).steps.some(step => step.name === 'archive'),
    );
    const other = await startWatched(env);
    await until('the other to delete', () => deletions(other.proxy).length > 0, 40_000);
    await api.settled();
    stopped.worker.child.kill('SIGCONT');
    await until('the first to notice', () => stopped.worker.output().includes('lost the job’s lock'));
    expect(deletions(stopped.proxy)).toEqual([]);
    expect(deletions(other.proxy)).toHaveLength(2);
    const job = await api.job(id);
    expect(job).toMatchObject({ state: 'done' });
    expect(job.steps.filter(step => step.state === 'failed')).toEqual([]);
  },
);

test('the jobs of a node are worked one after the other and in order, by several processes that die', async () => {
  const env = environment();
  const names = Array.from({ length: 6 }, (_, at) => `lined-up-${at}`);
  await Promise.all(names.map(name => registerNode(chef, { name })));
  const api = apiClient((await startIt({ ...env, ROLES: 'api' })).url);
  const startWorker = () => startIt({ ...env, ROLES: 'worker' });
  const workers = [await startWorker(), await startWorker()];
  // The last word on nodes of odd number is that they live.
  const wordsOn = (at: number) =>
    Array.from({ length: 7 + (at % 2) }, (_, n) => (n % 2 ? 'ensure' : 'delete'));
  const asked = await Promise.all(
    names.map(async (node, at) => {
      const ids: string[] = [];
      for (const kind of wordsOn(at)) {
        ids.push(await api.event({ kind, node }));
        if (node === names[0] && ids.length % 3 === 0) {
          workers.shift()?.child.kill('SIGKILL');
          workers.push(await startWorker());
        }
      }
      return ids;
    }),
  );
  const jobs = await api.settled(['done', 'failed', 'held'], 50_000);
  expect(jobs.filter(({ state }) => state !== 'done')).toEqual([]);
  for (const ids of asked) {
    let earlierEnd = '';
    for (const id of ids) {
      const job = jobs.find(each => each.id === id);
      const [firstStep = ''] = job?.steps.map(({ at }) => at).sort() ?? [];
      expect(firstStep >= earlierEnd).toBe(true);
      earlierEnd = job?.finishedAt ?? '';
    }
  }
  const alive = await Promise.all(names.map(async name => (await chef.chef.getNode(name)) !== undefined));
  expect(alive).toEqual(names.map((_, at) => at % 2 === 1));
});
