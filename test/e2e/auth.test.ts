import express from 'express';
import request from 'supertest';
import { expect, test } from 'vitest';
import { type CallLimits, identify, requireCaller } from '../../src/api/auth.ts';
import { problems } from '../../src/api/problem.ts';
import { RateLimit } from '../../src/api/rate-limit.ts';
import { expectDocumented } from '../support/api/contract.ts';
import { startApi } from '../support/api/service-fixture.ts';
import { startRedis } from '../support/redis.ts';
import { startTestService, TOKEN } from '../support/service.ts';

const TOKENS = new Map([
  ['anna', 'a-token-of-twenty-characters'],
  ['cron', 'another-token-of-twenty-characters'],
]);
const as = (token: string) => ({ authorization: `Bearer ${token}` });

function guarded(limits: CallLimits) {
  const app = express();
  app.use((incoming, _response, next) => {
    incoming.log = { warn() {} } as unknown as typeof incoming.log;
    next();
  });
  app.use(identify(TOKENS, limits));
  app.get('/', (incoming, response) => {
    requireCaller(incoming, TOKENS);
    response.json(incoming.caller);
  });
  return app.use(problems);
}
const limits = (calls: number, failures: number): CallLimits => ({
  calls: new RateLimit({ limit: calls, windowMs: 60_000 }),
  failures: new RateLimit({ limit: failures, windowMs: 60_000 }),
});

test('a caller is known by the name of the token', async () => {
  const app = guarded(limits(9, 9));
  for (const [name, token] of TOKENS) expect((await request(app).get('/').set(as(token))).body).toBe(name);
  await request(app).get('/').expect(401);
  await request(app).get('/').set(as('anna')).expect(401);
});

test('one token makes so many calls, and then learns when it may again; others go on', async () => {
  const app = guarded(limits(3, 9));
  const anna = as(TOKENS.get('anna') ?? '');
  for (let n = 0; n < 3; n++) await request(app).get('/').set(anna).expect(200);
  const { headers, body } = await request(app).get('/').set(anna).expect(429);
  expect(Number(headers['retry-after'])).toBeGreaterThan(50);
  expect(body).toMatchObject({
    status: 429,
    title: 'Too Many Requests',
    detail: expect.stringContaining('anna'),
  });
  await request(app)
    .get('/')
    .set(as(TOKENS.get('cron') ?? ''))
    .expect(200);
});

test('who guesses tokens gets 429 after a while, and does not lock out who has one', async () => {
  const app = guarded(limits(9, 3));
  for (let n = 0; n < 3; n++)
    await request(app)
      .get('/')
      .set(as(`guess-${n}`))
      .expect(401);
  await request(app).get('/').set(as('guess-3')).expect(429);
  await request(app).get('/').expect(401);
  await request(app)
    .get('/')
    .set(as(TOKENS.get('anna') ?? ''))
    .expect(200);
});

test('a limit is over after its window, and remembers no more than ten thousand', () => {
  const limit = new RateLimit({ limit: 1, windowMs: 1_000 });
  expect(limit.take('a', 0)).toBe(0);
  expect(limit.take('a', 400)).toBe(600);
  expect(limit.take('b', 400)).toBe(0);
  expect(limit.take('a', 1_000)).toBe(0);
  for (let n = 0; n < 10_000; n++) limit.take(`other-${n}`, 1_000);
  expect(limit.take('other-9999', 1_000)).toBeGreaterThan(0);
  expect(limit.take('a', 1_000)).toBe(0);
});

test('the service answers a flood of wrong tokens with 429 as its contract says', async () => {
  const redis = await startRedis();
  const { url, close } = await startApi(redis.url);
  const guess = (n: number) =>
    request(url)
      .get('/jobs')
      .set(as(`guess-${n}`));
  for (let n = 0; n < 300; n += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, at) => guess(n + at).expect(401)));
  }
  expectDocumented('GET /jobs', await guess(300).expect(429));
  await request(url).get('/jobs').set(as(TOKEN)).expect(200);
  await close('end of the test');
  await redis.stop();
});

test('tokens of fewer than twenty characters are not taken', () => {
  expect(() => startTestService({ API_TOKENS: 'short:0123456789' })).toThrow(
    /API_TOKENS: token of short is shorter/,
  );
});
