import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { autoScaling } from '../fixtures/samples.ts';
import { expectDocumented } from '../support/api/contract.ts';
import { asOperator, queued, startApi } from '../support/api/service-fixture.ts';
import { until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type SnsPublisher, startSnsPublisher } from '../support/sns-publisher.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:terminations';
/** Within this long a sender must hear that nothing was taken. */
const HEARD_MS = 5_000;
let server: RedisServer;
let publisher: SnsPublisher;
let service: Service;
let url: string;
let untrust: () => void;

beforeAll(async () => {
  server = await startRedis();
  publisher = await startSnsPublisher({ topicArn: TOPIC });
  untrust = publisher.authority.trust();
  service = await startApi(server.url, { SNS_TOPIC_ARNS: TOPIC, SNS_CERT_HOSTS: publisher.certHost });
  url = service.url;
});
afterAll(async () => {
  await service?.close('end of the tests');
  untrust?.();
  await publisher?.stop();
  await server?.stop();
});

test('a process that lives says so', async () => {
  const response = await request(url).get('/healthz').expect(200);
  expectDocumented('GET /healthz', response);
});

test('with a Chef server away it is ready all the same, and names each part', async () => {
  const response = await request(url).get('/readyz').expect(200);
  expectDocumented('GET /readyz', response);
  expect(response.body).toMatchObject({
    redis: 'ok',
    archive: 'ok',
    chef: 'unreachable: connection refused (ECONNREFUSED)',
  });
});

describe.each([
  ['is stopped', () => server.stop(), () => server.restart()],
  ['hangs', () => server.pause(), () => server.resume()],
])('while Redis %s', (how, away, back) => {
  const instance = how === 'hangs' ? 'i-0000000a' : 'i-0000000b';
  const node = `web-${instance}`;
  const ask = () =>
    request(url)
      .post('/events')
      .set({ ...asOperator, 'idempotency-key': node })
      .timeout(HEARD_MS)
      .send({ kind: 'delete', node });

  test('events are answered 503 in time, and each is one job once it is sent again', async () => {
    const notice = publisher.envelope(autoScaling('EC2_INSTANCE_TERMINATE', { EC2InstanceId: instance }));
    const push = () => publisher.deliver(notice, `${url}/sns`, { timeoutMs: HEARD_MS });
    await away();
    const [asked, pushed, ready, listed] = await Promise.all([
      ask(),
      push(),
      until('it to say that it is not ready', async () => {
        const response = await request(url).get('/readyz');
        return response.status === 503 && response;
      }),
      request(url).get('/jobs').set(asOperator).timeout(HEARD_MS),
    ]);
    expect(asked.status).toBe(503);
    expectDocumented('POST /events', asked);
    expect(asked.headers['retry-after']).toBe('5');
    expect(pushed.status).toBe(503);
    expect(JSON.parse(pushed.body)).toMatchObject({ status: 503, title: 'Service Unavailable' });
    expectDocumented('GET /readyz', ready);
    expect(ready.body.redis).toMatch(/^unreachable: /);
    expect(listed.status).toBe(503);
    await request(url).get('/healthz').expect(200);

    await back();
    await until('it to be ready again', async () => (await request(url).get('/readyz')).status === 200);
    await Promise.all([until('the request', async () => (await ask()).status === 202), push()]);
    await Promise.all([ask().expect(202), push()]);
    const jobs = (await queued(url)) as { id: string; node: string; instanceId: string }[];
    expect(jobs.filter(job => job.node === node)).toHaveLength(1);
    expect(jobs.filter(job => job.instanceId === instance)).toHaveLength(1);
  });
});
