import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { apiClient } from '../support/api-client.ts';
import { type ChefServer, registerNode, startChefServer } from '../support/chef-server.ts';
import { until } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { type RedisSecurity, secureRedis } from '../support/redis-security.ts';
import { startRedisSentinel } from '../support/redis-sentinel.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';

type Kind = 'single' | 'sentinel' | 'cluster';

let chef: ChefServer;
let security: RedisSecurity;
let named: RedisSecurity;
let servers: Record<Kind, { url: string; stop: () => Promise<void> }>;
let service: ServiceProcess | undefined;

beforeAll(async () => {
  // Those of a Cluster in a cloud are for names only.
  [chef, security, named] = await Promise.all([
    startChefServer(),
    secureRedis(),
    secureRedis({ address: false }),
  ]);
  const [single, sentinel, cluster] = await Promise.all([
    startRedis({ secured: security }),
    startRedisSentinel({ secured: security }),
    startRedisCluster({ secured: named }),
  ]);
  servers = { single, sentinel, cluster };
});
afterEach(() => service?.stop());
afterAll(async () => {
  for (const part of [...Object.values(servers ?? {}), chef]) await part?.stop();
});

async function startIt(redisUrl: string, { caFile } = security): Promise<ServiceProcess> {
  const env = testEnvironment({
    LOG_LEVEL: 'trace',
    REDIS_URL: redisUrl,
    NODE_EXTRA_CA_CERTS: caFile,
    CHEF_SERVER_URL: chef.url,
    CHEF_CLIENT_NAME: chef.adminName,
    CHEF_CLIENT_KEY: chef.adminKey,
  });
  service = await startServiceProcess(env);
  return service;
}

function expectNoSecret(output: string): void {
  const { password, sentinelPassword } = security;
  for (const secret of [password, sentinelPassword, 'wrong-secret'])
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
      expect(output).not.toContain(form);
}

describe('a deletion is done, and no password logged, over TLS with passwords to', () => {
  test.each<[Kind, string]>([
    ['single', 'one Redis'],
    ['sentinel', 'a master that Sentinels with a password of their own name'],
    ['cluster', 'a Cluster whose certificates are for names'],
  ])('%s: %s', async kind => {
    const { url, output } = await startIt(servers[kind].url, kind === 'cluster' ? named : security);
    const node = `secured-${kind}`;
    await registerNode(chef, { name: node });
    const api = apiClient(url);
    await until('readiness', async () => (await api.request('GET', '/readyz')).status === 200);
    await api.finished(await api.event({ kind: 'delete', node }));
    expect(await chef.chef.getNode(node)).toBeUndefined();
    expectNoSecret(output());
  });
});

describe('the log says what is wrong and what to do, /readyz in general words, and neither tells a password, if', () => {
  const wrongUser = (url: string) => url.replace(/service:[^@]*@/, 'service:wrong-secret@');
  const withoutUser = (url: string) => url.replace(/service:[^@]*@/, '');
  const wrongSentinels = (url: string) => url.replace(/=.*/, '=wrong-secret');
  const byAddress = (url: string) => url.replaceAll('localhost', '127.0.0.1');
  const credentials = 'refused: wrong credentials';
  const noConnection = 'unreachable: no connection';
  test.each<[string, Kind, (url: string) => string, state: string, log: RegExp]>([
    ['Redis refuses the password', 'single', wrongUser, credentials, /WRONGPASS.*REDIS_URL/],
    ['the master behind Sentinels refuses the password', 'sentinel', wrongUser, credentials, /WRONGPASS/],
    ['a Cluster refuses the password', 'cluster', wrongUser, credentials, /WRONGPASS/],
    [
      'the Sentinels refuse theirs',
      'sentinel',
      wrongSentinels,
      credentials,
      /All sentinels.*WRONGPASS.*sentinel-password/,
    ],
    ['Redis wants a password and gets none', 'single', withoutUser, credentials, /NOAUTH/],
    ['a Cluster wants a password and gets none', 'cluster', withoutUser, credentials, /NOAUTH/],
    [
      'the certificate of a Cluster is not for the host',
      'cluster',
      byAddress,
      noConnection,
      /closed.*certificate for that host/,
    ],
  ])('%s', async (_what, kind, spoil, state, log) => {
    const running = await startIt(spoil(servers[kind].url), kind === 'cluster' ? named : security);
    await expectRefusal(running, state, log);
  });

  test('the authority of its certificate is not trusted', async () => {
    const running = await startIt(servers.single.url, named);
    await expectRefusal(running, 'unreachable: certificate not trusted', /certificate.*NODE_EXTRA_CA_CERTS/);
  });
});

async function expectRefusal({ url, output }: ServiceProcess, state: string, log: RegExp): Promise<void> {
  const api = apiClient(url);
  const { status, body } = await api.request('GET', '/readyz');
  expect({ status, body }).toMatchObject({ status: 503, body: { redis: state } });
  const refused = await api.request('POST', '/events', { kind: 'delete', node: 'nobody' });
  expect(refused.status).toBe(503);
  const told = output()
    .split('\n')
    .filter(line => line.includes('events are answered 503 and jobs wait"'));
  expect(told).toHaveLength(1);
  expect(told.join('\n')).toMatch(log);
  expectNoSecret(output());
}
