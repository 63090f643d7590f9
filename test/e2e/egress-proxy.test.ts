import { execFile } from 'node:child_process';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Aws, startAws } from '../support/aws.ts';
import { type CertificateAuthority, makeCertificateAuthority } from '../support/certificates.ts';
import { type ChefServer, startChefServer } from '../support/chef-server.ts';
import { type EgressProxy, startEgressProxy } from '../support/egress-proxy.ts';
import { freshDirectory } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { testEnvironment } from '../support/service.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
let redis: RedisServer;
let aws: Aws;
let authority: CertificateAuthority;
let plain: ChefServer;
let secure: ChefServer;
let proxy: EgressProxy;

beforeAll(async () => {
  authority = await makeCertificateAuthority();
  const { certificate: cert, key } = await authority.issue();
  [redis, aws, plain, secure] = await Promise.all([
    startRedis(),
    startAws({ durable: false }),
    startChefServer(),
    startChefServer({ tls: { cert, key } }),
  ]);
  proxy = await startEgressProxy({ 'chef.invalid': plain.url, 'aws.invalid': aws.url });
});
beforeEach(() => {
  proxy.asked.length = 0;
});
afterAll(async () => {
  proxy?.stop();
  await Promise.all([redis?.stop(), aws?.stop(), plain?.stop(), secure?.stop()]);
});

function access({ adminName, adminKey }: ChefServer): NodeJS.ProcessEnv {
  return { CHEF_CLIENT_NAME: adminName, CHEF_CLIENT_KEY: adminKey };
}

/** What `check` says of a service whose only way out is the proxy. */
function check(env: NodeJS.ProcessEnv): Promise<string> {
  const whole = {
    PATH: process.env['PATH'],
    HOME: freshDirectory('home'),
    HTTP_PROXY: proxy.url,
    HTTPS_PROXY: proxy.url,
    NO_PROXY: '127.0.0.1',
    ...testEnvironment({ REDIS_URL: redis.url, ...env }),
  };
  return new Promise(resolve => {
    execFile(process.execPath, [MAIN, 'check'], { env: whole }, (_, stdout) => resolve(stdout));
  });
}

test('plain http is forwarded by the proxy, for the Chef server and for AWS', async () => {
  const env = {
    NODE_USE_ENV_PROXY: '1',
    CHEF_SERVER_URL: 'http://chef.invalid',
    ...access(plain),
    ...aws.env,
    AWS_ENDPOINT_URL: 'http://aws.invalid',
    QUEUE_ID: 'proxied',
    PROVISION: 'true',
  };
  const said = await check(env);
  expect(said).toMatch(/^ok +chef/m);
  expect(said).toMatch(/^ok +aws/m);
  expect(proxy.asked).toContain('GET http://chef.invalid/environments/_default');
  expect(proxy.asked).toContain('POST http://aws.invalid/');
  expect(proxy.asked.filter(asked => asked.startsWith('CONNECT'))).toEqual([]);
});

test('https goes through a tunnel of the proxy, and the certificate is checked at its end', async () => {
  const { host, port } = new URL(secure.url.replace('127.0.0.1', 'localhost'));
  const env = { NODE_USE_ENV_PROXY: '1', CHEF_SERVER_URL: `https://${host}`, ...access(secure) };
  expect(await check({ ...env, CHEF_CA_FILE: authority.file })).toMatch(/^ok +chef/m);
  expect(proxy.asked).toEqual([`CONNECT localhost:${port}`]);
  expect(await check(env)).toMatch(/^fault +chef .*certificate is not trusted.*CHEF_CA_FILE/m);
});

test('hosts of NO_PROXY are asked directly', async () => {
  const env = { NODE_USE_ENV_PROXY: '1', CHEF_SERVER_URL: plain.url, ...access(plain) };
  expect(await check({ ...env, NO_PROXY: 'example.com,127.0.0.1' })).toMatch(/^ok +chef/m);
  expect(await check({ ...env, NO_PROXY: '*' })).toMatch(/^ok +chef/m);
  expect(proxy.asked).toEqual([]);
});

test('without NODE_USE_ENV_PROXY the proxy is not asked, and a server that cannot be reached says so', async () => {
  expect(await check({ CHEF_SERVER_URL: plain.url, ...access(plain) })).toMatch(/^ok +chef/m);
  const said = await check({ CHEF_SERVER_URL: 'http://chef.invalid', ...access(plain) });
  expect(said).toMatch(/^fault +chef .*HTTP_PROXY is set, but is used only with NODE_USE_ENV_PROXY=1/m);
  expect(proxy.asked).toEqual([]);
});
