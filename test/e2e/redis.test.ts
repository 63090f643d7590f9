import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { apiClient } from '../support/api-client.ts';
import { type ChefServer, registerNode, startChefServer } from '../support/chef-server.ts';
import { freePort, until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { startRedisSentinel } from '../support/redis-sentinel.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';

let chef: ChefServer;
let next = 0;
const open: { stop: () => Promise<void> }[] = [];

beforeAll(async () => {
  chef = await startChefServer();
});
afterEach(async () => {
  for (const last of open.splice(0).reverse()) await last.stop();
});
afterAll(() => chef?.stop());

function opened<T extends { stop: () => Promise<void> }>(thing: T): T {
  open.push(thing);
  return thing;
}

function environment(redisUrl: string): NodeJS.ProcessEnv {
  return testEnvironment({
    LOG_LEVEL: 'info',
    REDIS_URL: redisUrl,
    CHEF_SERVER_URL: chef.url,
    CHEF_CLIENT_NAME: chef.adminName,
    CHEF_CLIENT_KEY: chef.adminKey,
    MAX_DELETES: '1000',
  });
}

async function startIt(redisUrl: string): Promise<ServiceProcess> {
  return opened(await startServiceProcess(environment(redisUrl)));
}

/** To give orders to a server; it can be killed at any time. */
function orders({ url }: RedisServer): Redis {
  const client = new Redis(url, { maxRetriesPerRequest: null });
  client.on('error', () => {});
  opened({ stop: async () => client.disconnect() });
  return client;
}

const refusedAndThenTaken = async (service: ServiceProcess, why: RegExp, mend: () => Promise<unknown>) => {
  const api = apiClient(service.url);
  const status = async () =>
    (await api.request('POST', '/events', { kind: 'delete', node: 'nobody' })).status;
  await until('events to be refused', async () => (await status()) === 503);
  await expect
    .poll(() => api.request('GET', '/readyz'), { timeout: 20_000 })
    .toMatchObject({ status: 503, body: { redis: expect.stringMatching(why) } });
  await mend();
  await until('readiness', async () => (await api.request('GET', '/readyz')).status === 200);
  await until('events to be taken', async () => (await status()) === 202);
  await api.settled();
};

describe('events are refused with 503, readiness says why, and both recover by themselves, where Redis', () => {
  test('comes up after the service and may evict', async () => {
    const port = await freePort();
    const service = await startIt(`redis://127.0.0.1:${port}`);
    const redis = opened(await startRedis({ port, maxmemoryPolicy: 'allkeys-lru' }));
    const client = orders(redis);
    await until('the log to say so', () => /maxmemory-policy allkeys-lru/.test(service.output()));
    await refusedAndThenTaken(service, /maxmemory-policy allkeys-lru/, () =>
      client.config('SET', 'maxmemory-policy', 'noeviction'),
    );
  });

  test('is another one after a restart, which may evict', async () => {
    const redis = opened(await startRedis());
    const service = await startIt(redis.url);
    await redis.stop();
    const other = opened(await startRedis({ port: redis.port, maxmemoryPolicy: 'volatile-ttl' }));
    await refusedAndThenTaken(service, /maxmemory-policy volatile-ttl/, () =>
      orders(other).config('SET', 'maxmemory-policy', 'noeviction'),
    );
  });

  test('is full', async () => {
    const redis = opened(await startRedis());
    const service = await startIt(redis.url);
    await orders(redis).config('SET', 'maxmemory', '1');
    await refusedAndThenTaken(service, /OOM/, () => orders(redis).config('SET', 'maxmemory', '0'));
  });

  test('is a read-only replica', async () => {
    const redis = opened(await startRedis());
    const service = await startIt(redis.url);
    await orders(redis).replicaof('127.0.0.1', redis.port);
    await refusedAndThenTaken(service, /READONLY/, () => orders(redis).replicaof('NO', 'ONE'));
  });

  test('hangs', async () => {
    const redis = opened(await startRedis());
    const service = await startIt(redis.url);
    redis.pause();
    await refusedAndThenTaken(service, /no answer|timed out/i, async () => redis.resume());
  });

  test('still loads its data', async () => {
    const redis = opened(await startRedis({ args: ['--key-load-delay', '1000'] }));
    const service = await startIt(redis.url);
    const client = orders(redis);
    const pipeline = client.pipeline();
    for (let key = 0; key < 5_000; key++) pipeline.set(`key-${key}`, 'value');
    await pipeline.exec();
    const restarted = redis.restart();
    const early = new Redis(redis.url, { enableReadyCheck: false, maxRetriesPerRequest: null });
    early.on('error', () => {});
    opened({ stop: async () => early.disconnect() });
    await until('it to load', async () => /^loading:1/m.test(await early.info('persistence')));
    const { status } = await apiClient(service.url).request('POST', '/events', {
      kind: 'delete',
      node: 'early',
    });
    expect(status).toBe(503);
    await restarted;
    const api = apiClient(service.url);
    await until('events to be taken', async () => {
      const answer = await api.request('POST', '/events', { kind: 'delete', node: 'late' });
      return answer.status === 202;
    });
  });
});

test('a Redis without an append-only file is used, with one warning', async () => {
  const redis = opened(await startRedis({ appendonly: 'no' }));
  const service = await startIt(redis.url);
  const api = apiClient(service.url);
  await api.event({ kind: 'delete', node: 'nobody' });
  await api.settled();
  await redis.restart();
  await until('readiness', async () => (await api.request('GET', '/readyz')).status === 200);
  expect(service.output().split('no append-only file')).toHaveLength(2);
});

test('a service whose Redis is away stops in time', async () => {
  const redis = opened(await startRedis());
  const service = await startIt(redis.url);
  await redis.stop();
  await until('it to notice', () => service.output().includes('Redis cannot be reached'));
  await service.stop('SIGTERM');
  expect(service.child.exitCode).toBe(0);
  expect(service.output()).not.toContain('did not close within');
});

test('a service whose Redis hangs stops in time', async () => {
  const redis = opened(await startRedis());
  const service = await startIt(redis.url);
  redis.pause();
  await service.stop('SIGTERM');
  expect(service.child.exitCode).toBe(0);
  expect(service.output()).not.toContain('did not close within');
});

/** As SNS does: again and again until it is taken. */
async function insist(url: string, node: string): Promise<string> {
  const api = apiClient(url);
  return until(
    `the event of ${node} to be taken`,
    async () => {
      const { status, body } = await api.request('POST', '/events', { kind: 'delete', node });
      return status === 202 && (body as { jobId: string }).jobId;
    },
    40_000,
  );
}

describe('a failover in the middle of work loses no event that was taken, and the service goes on by itself,', () => {
  async function failover(
    redisUrl: string,
    master: (key: string) => Promise<RedisServer>,
    end: (server: RedisServer) => unknown = server => server.stop('SIGKILL'),
  ): Promise<void> {
    const env = environment(redisUrl);
    const service = opened(await startServiceProcess(env));
    const kind = new URL(redisUrl.split(',')[0] ?? '').protocol.replace(/\W/g, '-');
    const names = Array.from({ length: 60 }, (_, at) => `${kind}-${next++}-${at}`);
    await Promise.all(names.map(name => registerNode(chef, { name })));
    const taken: string[] = [];
    const all = Promise.all(
      names.map(async name => {
        taken.push(await insist(service.url, name));
      }),
    );
    await until('some to be taken', () => taken.length >= 10);
    const lost = await master(env['REDIS_PREFIX'] ?? '');
    await end(lost);
    await all;
    const api = apiClient(service.url);
    await until(
      'every job to be done',
      async () => {
        const jobs = await api.jobs();
        const open = jobs.filter(({ state }) => state !== 'done');
        if (open.length > 0) throw new Error(JSON.stringify(open));
        return taken.every(id => jobs.some(job => job.id === id));
      },
      60_000,
    );
    expect(await Promise.all(names.map(name => chef.chef.getNode(name)))).toEqual(names.map(() => undefined));
    expect((await master(env['REDIS_PREFIX'] ?? '')).port).not.toBe(lost.port);
    await until('the run after the last', async () => {
      const { state, pendingDeletes } = await api.trigger();
      return state === 'idle' && pendingDeletes === 0;
    });
  }

  test('with Sentinels', async () => {
    const redis = opened(await startRedisSentinel());
    await failover(redis.url, redis.master);
  });

  test('with Sentinels, where the master hangs', async () => {
    const redis = opened(await startRedisSentinel());
    await failover(redis.url, redis.master, server => server.pause());
  });

  test('of a Cluster', async () => {
    const redis = opened(await startRedisCluster({ replicas: 1 }));
    await failover(redis.url, key => redis.masterOf(key));
  });
});

test('a Cluster of three nodes without replicas works', async () => {
  const redis = opened(await startRedisCluster());
  const service = await startIt(redis.url);
  await registerNode(chef, { name: 'in-a-cluster' });
  const api = apiClient(service.url);
  await api.event({ kind: 'delete', node: 'in-a-cluster' });
  expect(await api.settled()).toHaveLength(1);
  expect(await chef.chef.getNode('in-a-cluster')).toBeUndefined();
});
