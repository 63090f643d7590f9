import { Queue } from 'bullmq';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectRedis } from '../../../src/clients/redis/connections.ts';
import { parseRedisUrl } from '../../../src/clients/redis/url.ts';
import {
  createOutboxDispatcher,
  createOutboxNotifier,
  type Dispatcher,
  QUEUE,
} from '../../../src/jobs/outbox.ts';
import { loadScripts } from '../../../src/jobs/scripts.ts';
import { openStore, says, type TestStore } from '../../support/jobs/store-fixture.ts';
import { until } from '../../support/process.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

const log = pino({ level: 'silent' });
let server: RedisServer;
let it: TestStore;
let queue: Queue;
let dispatchers: Dispatcher[];

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(() => {
  it = openStore(server.url);
  queue = new Queue(QUEUE, { connection: it.redis, prefix: it.prefix });
  dispatchers = [];
});
afterEach(async () => {
  for (const dispatcher of dispatchers) await dispatcher.close();
  await queue.close();
  it.close();
});
afterAll(() => server?.stop());

function closing(made: Dispatcher): Dispatcher {
  dispatchers.push(made);
  return made;
}

function dispatcher(): Dispatcher {
  return closing(createOutboxDispatcher(it.redis, it.run, it.prefix, log));
}

const waiting = async () => (await queue.getWaiting()).map(({ id }) => id);
const outbox = () => it.redis.zrange(`${it.prefix}:outbox`, '0', '-1');

test('a job whose process died before BullMQ had it is handed over by the next process', async () => {
  const { tokens } = await it.accept(says('delete', 'web-1'));
  expect(await outbox()).toEqual(tokens);
  dispatcher();
  await until('BullMQ to have the job', async () => (await waiting()).length > 0);
  expect(await waiting()).toEqual(tokens);
  await until('the outbox to be empty', async () => (await outbox()).length === 0);
});

test('a job handed over by several at once is in the queue once', async () => {
  const { tokens } = await it.accept(says('delete', 'web-1'));
  const each = [dispatcher(), dispatcher(), dispatcher()];
  for (const one of each) one.dispatch(tokens);
  await Promise.all(each.map(one => one.close()));
  expect(await waiting()).toEqual(tokens);
  expect(await outbox()).toEqual([]);
});

test('a job handed over again after it is done is not begun again', async () => {
  const { tokens } = await it.accept(says('delete', 'web-1'));
  await it.work(tokens);
  dispatcher().dispatch(tokens);
  await until('BullMQ to have the job', async () => (await waiting()).length > 0);
  expect(await it.begin((await waiting())[0] ?? '')).toBeUndefined();
});

test('while Redis is away nothing fails, and what is left is handed over when it is back', async () => {
  const own = await startRedis();
  const { accept, close, prefix, redis } = openStore(own.url);
  const connections = connectRedis(parseRedisUrl(own.url), prefix, log);
  redis.on('error', () => {});
  const { tokens } = await accept(says('delete', 'web-1'));
  const one = createOutboxDispatcher(
    connections.commands,
    loadScripts(connections.commands, prefix),
    prefix,
    log,
  );
  await own.stop();
  one.dispatch(tokens);
  await own.restart();
  const back = new Queue(QUEUE, { connection: redis, prefix });
  await until('BullMQ to have the job', async () => (await back.getWaiting())[0]?.id === tokens[0]);
  await back.close();
  await one.close();
  await connections.close();
  close();
  await own.stop();
});

test('jobs that come while others are handed over go together, in the order in which they came', async () => {
  const accepted = [];
  for (const name of ['web-1', 'web-2', 'web-3', 'web-4'])
    accepted.push(await it.accept(says('delete', name)));
  const one = dispatcher();
  for (const { tokens } of accepted) one.dispatch(tokens);
  await one.close();
  expect(await waiting()).toEqual(accepted.flatMap(({ tokens }) => tokens));
});

test('a process without workers has those that work hand its jobs over', async () => {
  const listeners = () => it.redis.pubsub('NUMSUB', `${it.prefix}:outbox`);
  const workers = [dispatcher(), dispatcher()];
  await until('both to listen', async () => (await listeners())[1] === workers.length);
  const door = closing(createOutboxNotifier(it.redis, it.prefix));
  const accepted = [];
  for (let n = 0; n < 250; n++) accepted.push(await it.accept(says('delete', `web-${n}`)));
  for (const { tokens } of accepted) door.dispatch(tokens);
  await until('the outbox to be empty', async () => (await outbox()).length === 0);
  expect((await waiting()).toSorted()).toEqual(accepted.flatMap(({ tokens }) => tokens).toSorted());
});

test('what a process took and did not hand over is taken again', async () => {
  const { tokens } = await it.accept(says('delete', 'web-1'));
  const take = (leaseMs: number) => it.run('take-due', 'outbox', leaseMs, 10);
  expect(await take(60_000)).toEqual(tokens);
  expect(await take(60_000)).toEqual([]);
  await it.redis.zadd(`${it.prefix}:outbox`, Date.now() - 1, tokens[0] ?? '');
  expect(await take(60_000)).toEqual(tokens);
});
