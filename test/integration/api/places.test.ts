import { randomUUID } from 'node:crypto';
import express from 'express';
import request from 'supertest';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { InboundMessage } from '../../../src/api/receive.ts';
import { snsRoutes } from '../../../src/api/sns/endpoint.ts';
import { SigningCertificates } from '../../../src/api/sns/signing-certificates.ts';
import { createSnsVerifier } from '../../../src/api/sns/verify.ts';
import { EventSources } from '../../../src/domain/places.ts';
import { type SqsFixture, startSqsFixture, TOPIC } from '../../support/api/sqs-fixture.ts';
import { until } from '../../support/process.ts';
import type { SnsPublisher } from '../../support/sns-publisher.ts';
import { terminationNotice } from '../../support/termination.ts';

const HOST_TOPIC = `${TOPIC}-of-hosts`;
const certificates = new SigningCertificates();

let fixture: SqsFixture;
let fromAws: SnsPublisher;
let fromHosts: SnsPublisher;

beforeAll(async () => {
  fixture = await startSqsFixture();
  fromAws = fixture.publisher;
  fromHosts = fromAws.on(HOST_TOPIC);
});
afterEach(() => fixture.closePollers());
afterAll(async () => {
  await certificates.close();
  await fixture?.stop();
});

function places(): EventSources {
  const known = new EventSources();
  known.addTopic(TOPIC, 'aws');
  known.addTopic(HOST_TOPIC, 'hosts');
  return known;
}

function verifier(known: EventSources) {
  return createSnsVerifier({
    topics: () => known.topics,
    certificateHosts: [fromAws.certHost],
    certificate: url => certificates.get(url),
  });
}

const notice = () => terminationNotice(`i-0${randomUUID().replaceAll('-', '').slice(0, 16)}`);

test('a message that SNS pushes has the place of its topic', async () => {
  const known = places();
  const received: InboundMessage[] = [];
  const door = {
    verify: verifier(known),
    placeOf: known,
    topics: known.topics,
    receive: async (delivery: InboundMessage) => {
      received.push(delivery);
      return { outcome: 'ignored' as const };
    },
    confirm: async () => {},
    raise: () => {},
  };
  const app = express().use(snsRoutes(door));
  for (const topic of [fromAws, fromHosts]) {
    await request(app)
      .post('/sns')
      .send(JSON.stringify(topic.envelope(notice())))
      .expect(200);
  }
  expect(received.map(({ place }) => place)).toEqual(['aws', 'hosts']);
});

test.each(['aws', 'hosts'] as const)(
  'in a queue of %s an SNS envelope has the place of its topic, and a bare message that of the queue',
  async writers => {
    const queue = await fixture.makeQueue();
    const known = places();
    known.addQueue(queue.url, writers);
    await queue.send(fromAws.envelope(notice()));
    await queue.send(fromHosts.envelope(notice()));
    await queue.send(notice());
    const { news } = fixture.poll(queue, { placeOf: known, verify: verifier(known) });
    await until('all three', () => news.length === 3);
    expect(news.map(({ place }) => place).sort()).toEqual(['aws', 'hosts', writers].sort());
  },
);
