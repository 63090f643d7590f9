import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nonceRegister } from '../../../../src/api/host/nonces.ts';
import { type RedisServer, startRedis } from '../../../support/redis.ts';

let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

test('a nonce is the first message’s that has it, however often that comes, and outlasts any queue', async () => {
  const claim = nonceRegister(redis, '{test}');
  expect(await claim('web-1:nonce', 'message-1')).toBe(true);
  expect(await claim('web-1:nonce', 'message-1')).toBe(true);
  expect(await claim('web-1:nonce', 'message-2')).toBe(false);
  expect(await claim('web-2:nonce', 'message-2')).toBe(true);
  expect(await redis.ttl('{test}:nonce:web-1:nonce')).toBeGreaterThan(14 * 86_400);
});

test('of many messages that come at once with one nonce, one has it', async () => {
  const claim = nonceRegister(redis, '{test}');
  const claims = await Promise.all(
    Array.from({ length: 50 }, (_, at) => claim('web-3:nonce', `message-${at}`)),
  );
  expect(claims.filter(Boolean)).toHaveLength(1);
});
