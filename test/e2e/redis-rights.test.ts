import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { check } from '../../src/app/check.ts';
import { RedisFault } from '../../src/clients/redis/fault.ts';
import { tryRights } from '../../src/clients/redis/rights.ts';
import { readSettings } from '../../src/config.ts';
import { describe as inWords } from '../../src/domain/errors.ts';
import { apiOnly } from '../support/api/service-fixture.ts';
import { apiClient } from '../support/api-client.ts';
import { type ChefServer, registerNode, startChefServer } from '../support/chef-server.ts';
import { freePort, until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startRedisSentinel } from '../support/redis-sentinel.ts';
import { allowUser, order } from '../support/redis-user.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';

const PREFIX = '{rights}';
/** As docs/compatibility.md has it. */
const ENOUGH = [`~${PREFIX}*`, `&${PREFIX}*`, '+@all', '-@admin', '-@dangerous', '+info', '+role'];
const ALL_ROLES = { ROLES: 'api,poller,worker,trigger', REDIS_PREFIX: PREFIX, LOG_LEVEL: 'info' };
let redis: RedisServer;
let chef: ChefServer;
const running: ServiceProcess[] = [];
let users = 0;

beforeAll(async () => {
  [redis, chef] = await Promise.all([startRedis(), startChefServer()]);
});
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
});
afterAll(() => Promise.all([redis?.stop(), chef?.stop()]));

const newUser = (...rules: string[]) => {
  const user = `user-${++users}`;
  return allowUser(redis, user, ...rules).then(url => ({ user, url }));
};

async function start(env: NodeJS.ProcessEnv): Promise<ServiceProcess> {
  const service = await startServiceProcess(testEnvironment(env));
  running.push(service);
  return service;
}

/** What a user lacks. @returns undefined if it lacks nothing */
async function lacks(user: string, url: string, replicas = false): Promise<string | undefined> {
  const client = new Redis(url);
  client.on('error', () => {});
  try {
    await tryRights(client, { prefix: PREFIX, user, replicas });
    return undefined;
  } catch (error) {
    if (!(error instanceof RedisFault)) throw error;
    return error.message;
  } finally {
    client.disconnect();
  }
}

/** Does what a message advises. */
async function obey(message: string): Promise<void> {
  const [, line = ''] = /run in redis-cli: (ACL SETUSER .*?) \(/.exec(message) ?? [];
  const [command = '', ...args] = line.split(' ');
  await order(redis, command, ...args);
}

test('the documentation has these rules', () => {
  const text = readFileSync(new URL('../../docs/compatibility.md', import.meta.url), 'utf8');
  expect(text).toContain(`>PASSWORD ${ENOUGH.join(' ').replaceAll(PREFIX, '{chef-deregistration}')}\n`);
});

test('the rules of the documentation are enough to delete a node, restore it and run chef-client', async () => {
  const { url } = await newUser(...ENOUGH);
  const { url: service } = await start({
    ...ALL_ROLES,
    REDIS_URL: url,
    CHEF_SERVER_URL: chef.url,
    CHEF_CLIENT_NAME: chef.adminName,
    CHEF_CLIENT_KEY: chef.adminKey,
  });
  const api = apiClient(service);
  await registerNode(chef, { name: 'few-rights' });
  await api.finished(await api.event({ kind: 'delete', node: 'few-rights' }));
  expect(await chef.chef.getNode('few-rights')).toBeUndefined();
  await api.finished(await api.event({ kind: 'ensure', node: 'few-rights' }));
  expect(await chef.chef.getNode('few-rights')).toBeDefined();
  await until('the chef-client run', async () => (await api.trigger()).lastRun?.exitCode === 0);
});

describe('a missing permission is named, and the ACL line that is told grants it:', () => {
  test.each<[string, rules: string[], named: RegExp]>([
    ['INFO, as without @dangerous', ['~*', '&*', '+@all', '-@dangerous'], /permission for INFO; run/],
    ['channels, as of a new user of Redis 7', ['~*', '+@all'], /permission for channels; run/],
    ['keys', ['~other:*', '&*', '+@all'], /permission for keys; run/],
    ['scripts', [...ENOUGH, '-@scripting'], /permission for EVAL, EVALSHA, SCRIPT; run/],
    ['blocking commands', [...ENOUGH, '-@blocking'], /permission for BZPOPMIN; run/],
    ['PUBLISH', [...ENOUGH, '-publish'], /permission for .*PUBLISH; run/],
    ['SUBSCRIBE', [...ENOUGH, '-subscribe'], /permission for SUBSCRIBE; run/],
    ['writing', ['~*', '&*', '+@all', '-@write'], /permission for .*SET, .*ZADD.*BZPOPMIN; run/],
    ['only reading of keys', [`%R~${PREFIX}*`, ...ENOUGH.slice(1)], /permission for keys; run/],
  ])('%s', async (_what, rules, named) => {
    const { user, url } = await newUser(...rules);
    const message = await lacks(user, url);
    expect(message).toMatch(named);
    await obey(message ?? '');
    expect(await lacks(user, url)).toBeUndefined();
  });

  test('of a user that may do nothing first the commands, since Redis names no keys before', async () => {
    const { user, url } = await newUser('-@all', '+ping');
    const commands = await lacks(user, url);
    expect(commands).toMatch(/permission for EVAL, .*INFO.*SUBSCRIBE; run/);
    await obey(commands ?? '');
    const rest = await lacks(user, url);
    expect(rest).toMatch(/permission for keys, channels; run/);
    await obey(rest ?? '');
    expect(await lacks(user, url)).toBeUndefined();
  });

  test('INFO and ROLE, if there are replicas', async () => {
    const { user, url } = await newUser('~*', '&*', '+@all', '-@dangerous');
    const message = await lacks(user, url, true);
    expect(message).toMatch(/permission for INFO, ROLE; run/);
    await obey(message ?? '');
    expect(await lacks(user, url, true)).toBeUndefined();
  });

  test('also with Sentinels, whose master is asked for its role', async () => {
    const sentinel = await startRedisSentinel();
    onTestFinished(() => sentinel.stop());
    for (const server of sentinel.servers) await allowUser(server, 'blind', '~*', '&*', '+@all', '-role');
    const url = sentinel.url.replace('//', '//blind:made-up@');
    const found = await check(readSettings(testEnvironment(apiOnly(url))));
    expect(found).toContainEqual(
      expect.objectContaining({ part: 'redis', state: 'fault', note: expect.stringContaining('+role') }),
    );
  });

  test.each(['* [a]', 'a?b\\c', 'with blank'])('below the prefix {%s}', async inner => {
    const prefix = `{${inner}}`;
    const { user, url } = await newUser('+@all');
    const client = new Redis(url);
    onTestFinished(() => client.disconnect());
    const attempt = () => tryRights(client, { prefix, user, replicas: false });
    await obey(await attempt().then(() => '', inWords));
    await attempt();
  });
});

describe('a service whose Redis user lacks INFO', () => {
  const LACKING = ['~*', '&*', '+@all', '-@dangerous'];

  test('does not start: it ends with 1 and names the ACL line', async () => {
    const { user, url } = await newUser(...LACKING);
    const refusal = await start({ ...apiOnly(url), ...ALL_ROLES }).then(
      () => 'none',
      error => inWords(error),
    );
    expect(refusal).toContain('ended with 1');
    expect(refusal).toContain(`ACL SETUSER ${user} +info`);
  });

  test('is named by check', async () => {
    const { user, url } = await newUser(...LACKING);
    const found = await check(readSettings(testEnvironment({ ...apiOnly(url), ...ALL_ROLES })));
    const note = expect.stringContaining(`ACL SETUSER ${user} +info`);
    expect(found).toContainEqual({ part: 'redis', state: 'fault', note });
  });

  test('that came up later waits: it answers, names INFO to strangers and the ACL line in its log, and then works', async () => {
    const port = await freePort();
    const late = await startRedis({ port, args: ['--user', 'blind', 'on', '>made-up', ...LACKING] });
    await late.stop();
    const service = await start({ ...apiOnly(`redis://blind:made-up@127.0.0.1:${port}`), ...ALL_ROLES });
    await late.restart();
    onTestFinished(() => late.stop());
    const ready = () => fetch(`${service.url}/readyz`);
    await until('readiness to name it', async () => /permission for INFO/.test(await (await ready()).text()));
    expect((await ready()).status).toBe(503);
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
    expect(await (await ready()).text()).not.toContain('blind');
    const lines = service.output().split('\n');
    const told = lines.filter(line => line.includes('events are answered 503 and jobs wait"'));
    expect(told.filter(line => line.includes('ACL SETUSER blind +info ('))).toHaveLength(1);
    const { status } = await apiClient(service.url).request('POST', '/events', { kind: 'delete', node: 'a' });
    expect(status).toBe(503);

    await order(late, 'ACL', 'SETUSER', 'blind', '+info');
    await until('readiness', async () => (await ready()).status === 200);
    const api = apiClient(service.url);
    const id = await api.event({ kind: 'delete', node: 'nobody' });
    await until('a worker to take it', async () => (await api.job(id)).attempts > 0);
  });

  test('that came up later stops within five seconds', async () => {
    const port = await freePort();
    const late = await startRedis({ port, args: ['--user', 'blind', 'on', '>made-up', ...LACKING] });
    await late.stop();
    const service = await start({ ...apiOnly(`redis://blind:made-up@127.0.0.1:${port}`), ...ALL_ROLES });
    await late.restart();
    onTestFinished(() => late.stop());
    await until('it to notice', () => service.output().includes('ACL SETUSER'));
    const began = Date.now();
    await service.stop('SIGTERM');
    expect(Date.now() - began).toBeLessThan(5_000);
    expect(service.child.exitCode).toBe(0);
  });
});

test('rights that are taken away later are noticed by the next event, and given back they are used', async () => {
  const { user, url } = await newUser(...ENOUGH);
  const service = await start({ ...apiOnly(url), ...ALL_ROLES, ROLES: 'api' });
  const api = apiClient(service.url);
  const event = (node: string) => api.request('POST', '/events', { kind: 'delete', node });
  expect((await event('before')).status).toBe(202);
  await order(redis, 'ACL', 'SETUSER', user, '-@scripting');
  const refused = await event('meanwhile');
  expect(refused.status).toBe(503);
  expect(refused.body).toMatchObject({
    detail: 'Redis does not allow its user all that the service needs, so nothing was taken; try again',
  });
  await until('the log to name them', () => /permission for EVAL, EVALSHA, SCRIPT/.test(service.output()));
  await order(redis, 'ACL', 'SETUSER', user, '+@scripting');
  await until('events to be taken', async () => (await event('meanwhile')).status === 202);
});
