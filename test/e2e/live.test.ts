import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { asOperator, startApi } from '../support/api/service-fixture.ts';
import { apiClient } from '../support/api-client.ts';
import { until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';

let server: RedisServer;
let redis: Redis;
let service: Service;
let other: Service;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
  const env = { REDIS_PREFIX: '{live}' };
  [service, other] = await Promise.all([startApi(server.url, env), startApi(server.url, env)]);
});
afterAll(async () => {
  redis?.disconnect();
  await service?.close('end of the tests');
  await other?.close('end of the tests');
  await server?.stop();
});

interface Stream {
  /** Everything that came so far. */
  text: () => string;
  /** How it ended: by the service's will, or cut off. */
  ended: Promise<'ended' | 'cut off'>;
  close: () => void;
}

async function look(at: Service): Promise<Stream> {
  const closing = new AbortController();
  const response = await fetch(`${at.url}/live`, { headers: asOperator, signal: closing.signal });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  let text = '';
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) text += decoder.decode(bytes, { stream: true });
  };
  const ended = read().then(
    () => 'ended' as const,
    () => 'cut off' as const,
  );
  const stream = { text: () => text, ended, close: () => closing.abort() };
  await until('the stream to begin', () => text.includes('event: reset'));
  return stream;
}

const subscribers = async () => Number((await redis.pubsub('NUMSUB', '{live}:changed'))[1]);

test('without a token nothing is sent', async () => {
  expect((await fetch(`${service.url}/live`)).status).toBe(401);
});

test('whichever process changes a job, all who look learn of it', async () => {
  const streams = [await look(service), await look(other)];
  const id = await apiClient(other.url).event({ kind: 'delete', node: 'web-1' });
  for (const stream of streams) {
    await until('the job', () => stream.text().includes(`event: job\ndata: {"id":"${id}","kind":"delete"`));
    stream.close();
  }
});

test('however many look, a process subscribes once, and not at all when nobody does', async () => {
  await until('nobody to look', async () => (await subscribers()) === 0);
  const streams = await Promise.all([look(service), look(service), look(service)]);
  expect(await subscribers()).toBe(1);
  for (const stream of streams) stream.close();
  await until('nobody to look', async () => (await subscribers()) === 0);
});

test('after Redis was away those who look are asked to read again, and learn of changes again', async () => {
  const stream = await look(service);
  await server.restart();
  await until('the second reset', () => stream.text().split('event: reset').length === 3);
  const id = await until('Redis to take events', () =>
    apiClient(service.url)
      .event({ kind: 'delete', node: 'web-2' })
      .catch(() => ''),
  );
  await until('the job', () => stream.text().includes(id));
  stream.close();
});

test('a service that stops ends the streams and does not wait for them', async () => {
  const stream = await look(other);
  await other.close('stop');
  expect(await stream.ended).toBe('ended');
});

test('the summary counts the hour’s jobs by the state they are in now', async () => {
  const api = apiClient(service.url);
  await api.event({ kind: 'delete', node: 'web-3' });
  const counts = async () => {
    const { body } = await api.request('GET', '/summary');
    const { hours } = body as { hours: { from: string; jobs: { state: string; count: number }[] }[] };
    expect(hours).toHaveLength(24);
    return hours.flatMap(hour => hour.jobs).reduce((sum, { count }) => sum + count, 0);
  };
  expect(await counts()).toBe((await api.jobs()).length);
});
