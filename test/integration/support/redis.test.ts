import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../support/process.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

let server: RedisServer;
let client: Redis;

beforeAll(async () => {
  server = await startRedis({ password: 'p@ss/word' });
  client = new Redis(server.url, { maxRetriesPerRequest: null });
  client.on('error', () => {});
});

afterAll(async () => {
  client?.disconnect();
  await server?.stop();
});

test('an append-only Redis keeps what it said it has over kill -9 and a restart', async () => {
  await client.set('kept', 'yes');
  const killed = server.child.pid;
  await server.restart();
  expect(server.child.pid).not.toBe(killed);
  expect(await client.get('kept')).toBe('yes');
});

test('a paused Redis takes connections and answers nothing until it is resumed', async () => {
  server.pause();
  let answered = false;
  const answer = client.set('late', 'yes').then(() => {
    answered = true;
  });
  const state = () => readFileSync(`/proc/${server.child.pid}/stat`, 'utf8');
  await until('the process to be stopped', () => / T /.test(state()));
  expect(answered).toBe(false);
  server.resume();
  await answer;
});

test('a paused Redis can be stopped', async () => {
  const other = await startRedis({ appendonly: 'no', maxmemoryPolicy: 'allkeys-lru' });
  other.pause();
  await other.stop();
  expect(other.child.exitCode ?? other.child.signalCode).not.toBeNull();
});
