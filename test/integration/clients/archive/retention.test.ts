import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Archive } from '../../../../src/clients/archive/archive.ts';
import { openFileArchive } from '../../../../src/clients/archive/file/archive.ts';
import { keepRetention } from '../../../../src/clients/archive/retention.ts';
import { freshDirectory } from '../../../support/process.ts';
import { type RedisServer, startRedis } from '../../../support/redis.ts';

const DAY_MS = 86_400_000;
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

/** Saves one archive of each age in days. */
async function filled(ages: number[]): Promise<Archive> {
  let clock = new Date();
  const archive = openFileArchive(freshDirectory('retention'), { now: () => clock });
  for (const age of ages) {
    clock = new Date(Date.now() - age * DAY_MS);
    const chef = { node: '{"name":"web-1"}', client: null, clientKeys: [] };
    await archive.save({ node: 'web-1', job: `${age} days`, event: {}, chef });
  }
  return archive;
}

/** One look of a process that keeps archives for 30 days. */
async function look(archive: Archive, prefix: string): Promise<void> {
  await keepRetention({ redis, prefix, archive, days: 30, log: pino({ level: 'silent' }) }).close();
}

async function left(archive: Archive): Promise<string[]> {
  return (await archive.list({ limit: 10 })).archives.map(({ job }) => job);
}

test('archives older than the setting are removed, by whichever process comes first that day', async () => {
  const archive = await filled([29, 31]);
  await look(archive, '{first}');
  expect(await left(archive)).toEqual(['29 days']);
  const another = await filled([31]);
  await look(another, '{first}');
  expect(await left(another)).toEqual(['31 days']);
});

test('a removal that fails is left to the next look', async () => {
  const archive = await filled([31]);
  const prune = () => Promise.reject(new Error('the disk is away'));
  await look({ ...archive, prune }, '{second}');
  expect(await left(archive)).toEqual(['31 days']);
  await look(archive, '{second}');
  expect(await left(archive)).toEqual([]);
});
