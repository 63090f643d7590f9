import { createServer } from 'node:http';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { apiClient } from '../support/api-client.ts';
import { type ChefServer, registerNode, startChefServer } from '../support/chef-server.ts';
import { until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';

let redis: RedisServer;
let chef: ChefServer;
let service: ServiceProcess;

beforeAll(async () => {
  [redis, chef] = await Promise.all([startRedis(), startChefServer()]);
});

afterEach(() => service?.stop());

afterAll(async () => {
  await Promise.all([redis?.stop(), chef?.stop()]);
});

async function startIt(key = chef.adminKey) {
  service = await startServiceProcess(
    testEnvironment({
      LOG_LEVEL: 'info',
      REDIS_URL: redis.url,
      CHEF_SERVER_URL: chef.url,
      CHEF_CLIENT_NAME: chef.adminName,
      CHEF_CLIENT_KEY: key,
    }),
  );
  return apiClient(service.url);
}

const pauses = () => service.output().split('jobs pause until').length - 1;

/** What answers on the Chef server's port while that is down. */
const INSTEAD: [string, (port: number) => Promise<() => void>][] = [
  ['is down', async () => () => {}],
  ['is down behind a proxy with a page of its own', startProxyPage],
];

async function startProxyPage(port: number): Promise<() => void> {
  const server = createServer((_, response) => response.end('<html>We will be back soon</html>'));
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
  return () => {
    server.closeAllConnections();
    server.close();
  };
}

test.each(INSTEAD)(
  'a Chef server that %s pauses all jobs with one message and burns no attempt; they go on by themselves',
  async (how, startInstead) => {
    const names = Array.from({ length: 20 }, (_, at) => `outage-${at}-${how.length}`);
    await Promise.all(names.map(name => registerNode(chef, { name })));
    const api = await startIt();
    const port = Number(new URL(chef.url).port);
    await chef.stop();
    const stopInstead = await startInstead(port);
    await Promise.all(names.map(node => api.event({ kind: 'delete', node })));
    await until('the pause', () => pauses() > 0);
    await until('every job that was taken to be given back', async () =>
      (await api.jobs()).every(job => job.state === 'retrying' || job.state === 'queued'),
    );
    stopInstead();
    chef = await startChefServer({ port, directory: chef.directory });
    const jobs = await api.settled();
    expect(jobs).toHaveLength(names.length);
    expect(Math.max(...jobs.map(job => job.attempts))).toBe(1);
    expect(pauses()).toBe(1);
    const left = await Promise.all(names.map(name => chef.chef.getNode(name)));
    expect(left).toEqual(names.map(() => undefined));
  },
);

test('a Chef server that refuses our key pauses all jobs, and tells whose key it is', async () => {
  const { privateKey } = await registerNode(chef, { name: 'somebody-else', ownKey: true });
  await registerNode(chef, { name: 'kept' });
  const api = await startIt(privateKey);
  const id = await api.event({ kind: 'delete', node: 'kept' });
  await until('the pause', () => pauses() > 0);
  expect(service.output()).toMatch(
    /"part":"chef","err":"[^"]*401[^"]*the key is not that of Chef client admin/,
  );
  await until('the job to wait', async () => (await api.job(id)).state === 'retrying');
  expect((await api.job(id)).attempts).toBe(0);
  expect(await chef.chef.getNode('kept')).toBeDefined();
});
