import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ChefServer, startChefServer } from '../support/chef-server.ts';
import { until } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { startRedisSentinel } from '../support/redis-sentinel.ts';
import { startServiceProcess, TOKEN, testEnvironment } from '../support/service.ts';

let chef: ChefServer;
const open: { stop: () => Promise<void> }[] = [];

beforeAll(async () => {
  chef = await startChefServer();
});
afterEach(async () => {
  for (const last of open.splice(0).reverse()) await last.stop();
});
afterAll(() => chef?.stop());

async function startIt(redisUrl: string): Promise<string> {
  const env = testEnvironment({
    REDIS_URL: redisUrl,
    CHEF_SERVER_URL: chef.url,
    CHEF_CLIENT_NAME: chef.adminName,
    CHEF_CLIENT_KEY: chef.adminKey,
    LOG_LEVEL: 'info',
  });
  const service = await startServiceProcess(env);
  open.push(service);
  return service.url;
}

test('while the nodes of a Cluster hang since the start, every question is answered with 503 within five seconds', async () => {
  const nodes = await Promise.all(Array.from({ length: 6 }, () => startRedis({ cluster: true })));
  open.push(...nodes);
  for (const node of nodes) node.pause();
  const url = await startIt(`redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`)}`);
  const ask = (method: string, path: string, body?: object) =>
    fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      // The sender of a message gives up then.
      signal: AbortSignal.timeout(5_000),
      ...(body && { body: JSON.stringify(body) }),
    });
  const answers = await Promise.all([
    ask('GET', '/jobs'),
    ask('GET', '/jobs?node=nobody'),
    ask('GET', '/jobs/x'),
    ask('GET', '/trigger'),
    ask('GET', '/summary'),
    ask('POST', '/events', { kind: 'delete', node: 'nobody' }),
  ]);
  for (const { url, status } of answers) expect({ url, status }).toEqual({ url, status: 503 });
});

test('a Sentinel that hangs since the start is passed over', async () => {
  const redis = await startRedisSentinel();
  open.push(redis);
  redis.pauseSentinel();
  const url = await startIt(redis.url);
  await until('readiness', async () => (await fetch(`${url}/readyz`)).status === 200);
});
