import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { redisCheck } from '../../../src/clients/redis/durability.ts';
import { openBullWorker } from '../../../src/jobs/bull-worker.ts';
import { openQueue } from '../../../src/jobs/outbox.ts';
import { until } from '../../support/process.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';
import { allowUser, order } from '../../support/redis-user.ts';

const PREFIX = '{bull}';
const JOBS = 40;
const log = pino({ level: 'silent' });
let server: RedisServer;
let open: { close: () => unknown }[];
let users = 0;

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(() => {
  open = [];
});
afterEach(async () => {
  for (const last of open.reverse()) await last.close();
  await order(server, 'FLUSHALL');
});
afterAll(() => server?.stop());

function connect(url: string, options: { maxRetriesPerRequest: null | 1 }): Redis {
  const redis = new Redis(url, options);
  redis.on('error', () => {});
  open.push({ close: () => redis.disconnect() });
  return redis;
}

/** A worker whose jobs wait for a word, of a user with these rights besides all. */
async function startWorker(...rules: string[]) {
  const user = `worker-${++users}`;
  const url = await allowUser(server, user, '~*', '&*', '+@all', ...rules);
  const commands = connect(url, { maxRetriesPerRequest: 1 });
  const check = redisCheck(commands, { prefix: PREFIX, user, replicas: false, log });
  open.push(check);
  const goOn = Promise.withResolvers<void>();
  const done: string[] = [];
  const begun: string[] = [];
  const worker = openBullWorker(
    async job => {
      begun.push(job.id ?? '');
      await goOn.promise;
      done.push(job.id ?? '');
    },
    { prefix: PREFIX, concurrency: 2, lockMs: 1_000 },
    { redis: connect(url, { maxRetriesPerRequest: null }), check, log },
  );
  open.push(worker);
  return { user, worker, goOn: goOn.resolve, begun, done };
}

async function queueJobs(): Promise<void> {
  const queue = openQueue(connect(server.url, { maxRetriesPerRequest: 1 }), PREFIX);
  open.push(queue);
  await queue.addBulk(
    Array.from({ length: JOBS }, (_, at) => ({ name: 'job', data: {}, opts: { jobId: `job-${at}` } })),
  );
}

/** Commands that Redis took or refused. */
async function calls(): Promise<number> {
  const stats = String(await order(server, 'INFO', 'stats'));
  const count = (name: string) => Number(new RegExp(`${name}:(\\d+)`).exec(stats)?.[1]);
  return count('total_commands_processed') + count('total_error_replies');
}

async function callsASecond(): Promise<number> {
  const before = await calls();
  await delay(2_000);
  return ((await calls()) - before) / 2;
}

test.each<[string, (user: string) => Promise<unknown>, (user: string) => Promise<unknown>]>([
  [
    'no longer allows scripts',
    user => order(server, 'ACL', 'SETUSER', user, '-@scripting'),
    user => order(server, 'ACL', 'SETUSER', user, '+@scripting'),
  ],
  [
    'has become a read-only replica',
    () => order(server, 'REPLICAOF', '127.0.0.1', '1'),
    () => order(server, 'REPLICAOF', 'NO', 'ONE'),
  ],
])('while jobs wait and Redis %s, the worker rests; then it works them all', async (_what, spoil, repair) => {
  const { user, goOn, begun, done } = await startWorker();
  await queueJobs();
  await until('the first jobs to begin', () => begun.length >= 2);
  await spoil(user);
  goOn();
  await until('the first jobs to end', () => done.length >= 2);
  expect(await callsASecond()).toBeLessThan(100);
  await repair(user);
  await until('every job to be done', () => new Set(done).size === JOBS);
});

test('a worker that may not ask INFO does not call Redis in an endless loop, and works once it may', async () => {
  const { user, goOn, done } = await startWorker('-info');
  goOn();
  await queueJobs();
  expect(await callsASecond()).toBeLessThan(100);
  expect(done).toEqual([]);
  await order(server, 'ACL', 'SETUSER', user, '+info');
  await until('every job to be done', () => new Set(done).size === JOBS);
});

test('a worker that was paused before Redis could be used begins when it is resumed', async () => {
  const { user, worker, goOn, done } = await startWorker('-info');
  worker.pause();
  goOn();
  await queueJobs();
  await order(server, 'ACL', 'SETUSER', user, '+info');
  expect(await callsASecond()).toBeLessThan(100);
  expect(done).toEqual([]);
  worker.resume();
  await until('every job to be done', () => new Set(done).size === JOBS);
});

test('a worker that waits for a Redis that it can use closes at once', async () => {
  const { worker } = await startWorker('-info');
  const began = Date.now();
  await worker.close();
  expect(Date.now() - began).toBeLessThan(2_000);
});
