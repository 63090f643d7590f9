import express from 'express';
import request from 'supertest';
import { expect, test } from 'vitest';
import { snsRoutes } from '../../../../src/api/sns/endpoint.ts';
import type { Alert } from '../../../../src/domain/alert.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:terminations';

function routes(raised: Alert[]) {
  const never = () => Promise.reject(new Error('a message without a signature came this far'));
  return express().use(
    snsRoutes({
      verify: never,
      receive: never,
      confirm: never,
      raise: alert => raised.push(alert),
      topics: new Set([TOPIC]),
      placeOf: { ofTopic: () => 'hosts' },
    }),
  );
}

test('a flood of messages without a signature does not become a flood of alerts', async () => {
  const raised: Alert[] = [];
  const app = routes(raised);
  for (let n = 0; n < 50; n++)
    await request(app)
      .post('/sns')
      .set({ 'x-amz-sns-rawdelivery': 'true', 'x-amz-sns-topic-arn': TOPIC })
      .send('{}');
  expect(raised.map(({ name }) => name)).toEqual(Array(10).fill('raw-delivery'));
});

test('a message without a signature that names no topic of this service raises no alert', async () => {
  const raised: Alert[] = [];
  const app = routes(raised);
  await request(app).post('/sns').set('x-amz-sns-rawdelivery', 'true').send('{}');
  for (const topic of [`${TOPIC}x`, TOPIC.toUpperCase(), 'call 0900', ''])
    await request(app)
      .post('/sns')
      .set({ 'x-amz-sns-rawdelivery': 'true', 'x-amz-sns-topic-arn': topic })
      .send('{}');
  expect(raised).toEqual([]);
});
