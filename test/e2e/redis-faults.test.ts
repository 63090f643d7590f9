import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { check } from '../../src/app/check.ts';
import { readSettings } from '../../src/config.ts';
import { describe as inWords } from '../../src/domain/errors.ts';
import { apiOnly, asOperator } from '../support/api/service-fixture.ts';
import { apiClient } from '../support/api-client.ts';
import { until } from '../support/process.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../support/redis.ts';
import { order } from '../support/redis-user.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';

const ALL_ROLES = { ROLES: 'api,poller,worker', LOG_LEVEL: 'info' };
const open: { stop: () => Promise<void> }[] = [];

afterEach(async () => {
  for (const last of open.splice(0).reverse()) await last.stop();
});

async function startServer(options: RedisOptions = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  open.push(redis);
  return redis;
}

async function start(redisUrl: string): Promise<ServiceProcess> {
  const service = await startServiceProcess(testEnvironment({ ...apiOnly(redisUrl), ...ALL_ROLES }));
  open.push(service);
  return service;
}

const linesWith = (service: ServiceProcess, text: string) =>
  service
    .output()
    .split('\n')
    .filter(line => line.includes(text));
const BEGIN = 'events are answered 503 and jobs wait"';
const END = 'events are accepted and jobs go on"';

/** What becomes of a service with this Redis that must not start. @returns what it said */
const refusalOf = (redisUrl: string) =>
  start(redisUrl).then(
    () => 'none',
    error => inWords(error),
  );

const noteOf = async (redisUrl: string) => {
  const found = await check(readSettings(testEnvironment({ ...apiOnly(redisUrl), ...ALL_ROLES })));
  return found.find(({ part }) => part === 'redis');
};

describe('a Redis that refuses has its own words in the log, in readiness, in answers and in the alert, once:', () => {
  const cases: [
    what: string,
    options: RedisOptions,
    spoil: (redis: RedisServer) => Promise<unknown>,
    repair: (redis: RedisServer) => Promise<unknown>,
    words: string,
    state: string,
    toDo: RegExp,
  ][] = [
    [
      'full',
      {},
      it => order(it, 'CONFIG', 'SET', 'maxmemory', '1000'),
      it => order(it, 'CONFIG', 'SET', 'maxmemory', '0'),
      'Redis is full',
      'refused: full (OOM)',
      /config set maxmemory 2000.*redis\.conf.*ElastiCache/,
    ],
    [
      'a read-only replica',
      {},
      it => order(it, 'REPLICAOF', '127.0.0.1', '1'),
      it => order(it, 'REPLICAOF', 'NO', 'ONE'),
      'Redis is a read-only replica',
      'refused: read-only replica (READONLY)',
      /primary/,
    ],
    [
      'without enough replicas',
      {},
      it => order(it, 'CONFIG', 'SET', 'min-replicas-to-write', '1'),
      it => order(it, 'CONFIG', 'SET', 'min-replicas-to-write', '0'),
      'Redis takes no writes, since too few replicas are connected to it',
      'refused: too few replicas (NOREPLICAS)',
      /min-replicas-to-write/,
    ],
  ];
  test.each(cases)('%s', async (_what, options, spoil, repair, words, state, toDo) => {
    const redis = await startServer(options);
    const service = await start(redis.url);
    const api = apiClient(service.url);
    const event = () => api.request('POST', '/events', { kind: 'delete', node: 'nobody' });
    expect((await event()).status).toBe(202);
    await spoil(redis);
    const refused = await until('an event to be refused', async () => {
      const answer = await event();
      return answer.status === 503 && answer;
    });
    expect(refused.body).toMatchObject({ detail: `${words}, so nothing was taken; try again` });
    const ready = await until('readiness to say so', async () => {
      const answer = await api.request('GET', '/readyz');
      return answer.status === 503 && answer;
    });
    expect(ready.body).toMatchObject({ redis: state });
    const [line = ''] = await until('the log to say so', () => {
      const lines = linesWith(service, BEGIN);
      return lines.length > 0 && lines;
    });
    expect(JSON.parse(line)).toMatchObject({
      msg: `${words}: ${BEGIN.slice(0, -1)}`,
      toDo: expect.stringMatching(toDo),
    });
    const [alert = ''] = await until('the alert', () => {
      const lines = linesWith(service, 'alert: error redis-away');
      return lines.length > 0 && lines;
    });
    expect(JSON.parse(alert).alert).toMatchObject({
      whatHappened: expect.stringContaining(words),
      whatToDo: expect.stringMatching(toDo),
    });
    expect(service.output()).not.toContain('cannot be reached');

    await repair(redis);
    await until('events to be taken', async () => (await event()).status === 202);
    await until('the log to say so', () => linesWith(service, END).length > 0);
    expect([BEGIN, END].map(text => linesWith(service, text).length)).toEqual([1, 1]);
  });

  test('check says the same', async () => {
    const redis = await startServer();
    await order(redis, 'CONFIG', 'SET', 'maxmemory', '1000');
    expect(await noteOf(redis.url)).toMatchObject({
      state: 'fault',
      note: expect.stringMatching(/^Redis is full: .*OOM/),
    });
  });

  test('its advice for a full Redis helps', async () => {
    const redis = await startServer();
    await order(redis, 'CONFIG', 'SET', 'maxmemory', '800000');
    let advice = '';
    for (let times = 0; times < 10; times++) {
      const { note = '' } = (await noteOf(redis.url)) ?? {};
      [, advice = ''] = /redis-cli (config set maxmemory \d+)/.exec(note) ?? [];
      if (!advice) break;
      const [command = '', ...args] = advice.split(' ');
      await order(redis, command, ...args);
    }
    expect(await noteOf(redis.url)).toMatchObject({ state: 'ok' });
  });
});

test('an outage is one line in the log when it begins and one when it ends, however long it lasts', async () => {
  const redis = await startServer();
  const service = await start(redis.url);
  await redis.stop();
  await until('it to notice', () => linesWith(service, BEGIN).length > 0);
  const event = () => apiClient(service.url).request('POST', '/events', { kind: 'delete', node: 'nobody' });
  for (let times = 0; times < 5; times++) expect((await event()).status).toBe(503);
  await redis.restart();
  await until('events to be taken', async () => (await event()).status === 202);
  redis.pause();
  await until('it to notice again', () => linesWith(service, BEGIN).length > 1);
  redis.resume();
  await until('it to end', () => linesWith(service, END).length > 1);
  const told = service
    .output()
    .split('\n')
    .filter(
      line => /Redis|redis/.test(line) && !line.includes('request refused') && !line.includes('alert:'),
    );
  expect(told.map(line => JSON.parse(line).msg)).toEqual([
    `Redis cannot be reached: ${BEGIN.slice(0, -1)}`,
    'Redis can be used again: events are accepted and jobs go on',
    `Redis does not answer: ${BEGIN.slice(0, -1)}`,
    'Redis can be used again: events are accepted and jobs go on',
  ]);
});

describe('what a wrong eviction policy needs is named', () => {
  test('for one’s own Redis, until it stops and for good, and beside it for a managed one', async () => {
    const redis = await startServer({ maxmemoryPolicy: 'allkeys-lru' });
    const said = await refusalOf(redis.url);
    expect(said).toContain('ended with 1');
    expect(said).toContain('redis-cli config set maxmemory-policy noeviction');
    expect(said).toContain('"maxmemory-policy noeviction" in redis.conf');
    expect(said).toMatch(/ElastiCache.*parameter group.*Memorystore.*Azure/);
    await order(redis, 'config', 'set', 'maxmemory-policy', 'noeviction');
    expect(await noteOf(redis.url)).toMatchObject({ state: 'ok' });
  });

  test('for a managed one alone, if it has no CONFIG', async () => {
    const redis = await startServer({
      args: ['--maxmemory-policy', 'volatile-lru', '--rename-command', 'CONFIG', ''],
    });
    const said = await refusalOf(redis.url);
    expect(said).toMatch(/maxmemory-policy.*ElastiCache/);
    expect(said).not.toContain('config set');
  });

  test('and so is the want of an append-only file', async () => {
    const own = await startServer({ appendonly: 'no' });
    expect(await noteOf(own.url)).toMatchObject({
      state: 'ok',
      note: expect.stringMatching(/config set appendonly yes.*"appendonly yes" in redis\.conf/),
    });
    const managed = await startServer({ appendonly: 'no', args: ['--rename-command', 'CONFIG', ''] });
    const found = await noteOf(managed.url);
    expect(found).toMatchObject({ state: 'ok', note: expect.stringContaining('ElastiCache') });
    expect(found?.note).not.toContain('config set');
  });
});

describe('a Redis that is too old', () => {
  /** In front of a Redis, has it tell another version of itself, as long as its own. @returns its URL */
  async function startOldRedis(version: string, redis: RedisServer): Promise<string> {
    const told = (_: string, name: string, own: string) =>
      name + version.padEnd(own.length, '0').slice(0, own.length);
    const server = createServer(client => {
      const behind = connect(redis.port, '127.0.0.1');
      client.pipe(behind);
      behind.on('data', chunk => {
        client.write(chunk.toString('latin1').replace(/(redis_version:)([\d.]+)/, told), 'latin1');
      });
      client.on('error', () => {}).once('close', () => behind.destroy());
      behind.on('error', () => {}).once('close', () => client.destroy());
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test.each(['4.0.10', '5.0.14', '2.8.24'])(
    '(%s) is a fault for check, and the service does not start',
    async version => {
      const url = await startOldRedis(version, await startServer());
      expect(await noteOf(url)).toMatchObject({
        state: 'fault',
        note: expect.stringMatching(`^Redis ${version} is too old: use Redis 6.2`),
      });
      const said = await refusalOf(url);
      expect(said).toContain('ended with 1');
      expect(said).toContain(`Redis ${version} is too old`);
    },
  );

  test('but not for the service, is used with a warning', async () => {
    const url = await startOldRedis('6.0.16', await startServer());
    expect(await noteOf(url)).toMatchObject({
      state: 'ok',
      note: expect.stringMatching(/Redis 6\.0\.16 is older than BullMQ is made for/),
    });
  });

  test.each(['6.2.0', '7.0.15', '10.0.1'])('(not %s)', async version => {
    const url = await startOldRedis(version, await startServer());
    expect(await noteOf(url)).toEqual({ part: 'redis', state: 'ok' });
  });
});

describe('a service stops within five seconds while its Redis', () => {
  test.each<[string, (redis: RedisServer) => unknown]>([
    ['is away', redis => redis.stop()],
    ['hangs', redis => redis.pause()],
    ['is a read-only replica', redis => order(redis, 'REPLICAOF', '127.0.0.1', '1')],
    ['is full', redis => order(redis, 'CONFIG', 'SET', 'maxmemory', '1000')],
  ])('%s', async (_what, spoil) => {
    const redis = await startServer();
    const service = await start(redis.url);
    await spoil(redis);
    // The longer it lasts, the longer the waits between attempts to connect.
    for (let times = 0; times < 3; times++) await fetch(`${service.url}/trigger`, { headers: asOperator });
    await until('it to notice', async () => {
      await fetch(`${service.url}/readyz`);
      return linesWith(service, BEGIN).length > 0;
    });
    const began = Date.now();
    await service.stop('SIGTERM');
    expect(service.child.exitCode).toBe(0);
    expect(Date.now() - began).toBeLessThan(5_000);
    expect(service.output()).not.toContain('did not close within');
  });
});
