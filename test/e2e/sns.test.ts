import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CreateTopicCommand, GetSubscriptionAttributesCommand, SubscribeCommand } from '@aws-sdk/client-sns';
import fc from 'fast-check';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { autoScaling, sample } from '../fixtures/samples.ts';
import { expectDocumented } from '../support/api/contract.ts';
import { queued, startApi } from '../support/api/service-fixture.ts';
import { type Aws, startAws } from '../support/aws.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type SnsPublisher, startSnsPublisher } from '../support/sns-publisher.ts';

let aws: Aws;
let server: RedisServer;
let publisher: SnsPublisher;
let service: Service;
let url: string;
let untrust: () => void;
let topic: string;
let instances = 0;

beforeAll(async () => {
  [aws, server] = await Promise.all([startAws({ durable: false }), startRedis()]);
  const { TopicArn = '' } = await aws.sns.send(new CreateTopicCommand({ Name: 'terminations' }));
  topic = TopicArn;
  publisher = await startSnsPublisher({ topicArn: topic, aws });
  untrust = publisher.authority.trust();
  for (const [name, value] of Object.entries(aws.env)) vi.stubEnv(name, value);
  service = await startApi(server.url, {
    SNS_TOPIC_ARNS: topic,
    SNS_CERT_HOSTS: publisher.certHost,
    AWS_ENDPOINT_URL: aws.url,
  });
  url = service.url;
});
afterAll(async () => {
  await service?.close('end of the tests');
  untrust?.();
  await publisher?.stop();
  await aws?.stop();
  await server?.stop();
});

/** POSTs it as SNS would, or any text in place of a message. */
async function push(message: object | string, headers: Record<string, string> = {}) {
  const response = await request(url)
    .post('/sns')
    .set({ 'content-type': 'text/plain; charset=UTF-8', ...headers })
    .send(typeof message === 'string' ? message : JSON.stringify(message));
  expectDocumented('POST /sns', response);
  return response;
}
/** The notice of the termination of another instance each time. */
const termination = () =>
  autoScaling('EC2_INSTANCE_TERMINATE', {
    EC2InstanceId: `i-${(++instances).toString(16).padStart(8, '0')}`,
  });
const count = async () => (await queued(url)).length;

describe('what SNS signed', () => {
  test.each(['1', '2'] as const)(
    'in version %s is accepted, and is one job however often it comes',
    async version => {
      const before = await count();
      const message = publisher.envelope(termination(), { version, Subject: 'Auto Scaling: termination' });
      const first = await push(message);
      expect(first.status).toBe(200);
      expect(first.body).toEqual({ outcome: 'accepted', jobId: expect.any(String) });
      expect((await push(message)).body).toEqual({ outcome: 'duplicate', jobId: first.body.jobId });
      expect(await count()).toBe(before + 1);
    },
  );

  test('about something harmless, or not for us, is ignored', async () => {
    const before = await count();
    const bodies = [
      sample('events/asg-notification-launch'),
      { AlarmName: 'cpu' },
      'Hello, team',
      '',
      '7',
      'null',
    ];
    for (const body of bodies) {
      expect((await push(publisher.envelope(body))).body, JSON.stringify(body)).toEqual({
        outcome: 'ignored',
      });
    }
    expect(await count()).toBe(before);
  });

  test('about us but not to be acted upon is refused by its field', async () => {
    const { status, body } = await push(publisher.envelope({ type: 'registration', method: 'delete' }));
    expect([status, body.field]).toEqual([400, 'chef_name']);
  });

  test('as large as SNS delivers is accepted', async () => {
    const message = publisher.envelope({ ...termination(), Cause: '"'.repeat(120_000) });
    expect(JSON.stringify(message).length).toBeGreaterThan(480_000);
    expect((await push(message)).body.outcome).toBe('accepted');
    expect((await push(publisher.envelope('x'.repeat(700_000)))).status).toBe(413);
  });

  test('is accepted under any content type', async () => {
    for (const type of ['application/json', 'application/octet-stream', 'text/html']) {
      const { body } = await push(publisher.envelope(termination()), { 'content-type': type });
      expect(body.outcome, type).toBe('accepted');
    }
  });
});

describe('what SNS did not sign', () => {
  const signed = () => publisher.envelope(termination(), { Subject: 'about it' });

  test.each(['Message', 'MessageId', 'Subject', 'Timestamp', 'Signature'] as const)(
    'because its %s is another, is refused',
    async field => {
      const message = signed();
      const value = field === 'Timestamp' ? new Date(0).toISOString() : `A${message[field]}`;
      const { status, body } = await push({ ...message, [field]: value });
      expect(status).toBe(403);
      expect(body.detail).toMatch(/^SNS message refused: /);
    },
  );

  test('because its subject was taken out, or put in, is refused', async () => {
    const { Subject, ...without } = signed();
    expect((await push(without)).status).toBe(403);
    expect((await push({ ...publisher.envelope(termination()), Subject: 'new' })).status).toBe(403);
  });

  test('with another certificate, or one that SNS has not, is refused', async () => {
    const stranger = await publisher.authority.issue({ commonName: 'sns.amazonaws.com' });
    const message = publisher.envelope(termination(), { key: stranger.key });
    expect((await push(message)).status).toBe(403);
    const text = publisher.certificates.serve('not a certificate');
    expect((await push({ ...signed(), SigningCertURL: text })).status).toBe(403);
  });

  test('because delivery is raw, is refused, and the answer says which setting to change', async () => {
    const { status, body } = await push(JSON.stringify(termination()), { 'x-amz-sns-rawdelivery': 'true' });
    expect(status).toBe(403);
    expect(body.detail).toContain('RawMessageDelivery');
  });
});

test('of a topic that is not ours no certificate is fetched, however well it is signed', async () => {
  const fetches = publisher.certificates.fetches();
  const strange = ['arn:aws:sns:eu-west-1:999999999999:terminations', `${topic}x`, topic.toUpperCase(), ''];
  for (const TopicArn of strange) {
    const certUrl = publisher.certificates.serve('asked for');
    const { status } = await push(publisher.envelope(termination(), { TopicArn, certUrl }));
    expect(status, TopicArn).toBe(TopicArn ? 403 : 400);
  }
  expect(publisher.certificates.fetches()).toBe(fetches);
});

test('a certificate is fetched only from where SNS keeps its own, or from a host that is named in the settings', async () => {
  const path = `/SimpleNotificationService-${'0'.repeat(32)}.pem`;
  const urls = [
    `http://${publisher.certHost}${path}`,
    `https://${publisher.certHost}/other.pem`,
    `https://${publisher.certHost}${path}?x=.pem`,
    `https://${publisher.certHost}${path}#x`,
    `https://user@${publisher.certHost}${path}`,
    `https://${publisher.certHost}/a/..${path}`,
    `https://${publisher.certHost}/.${path}`,
    `https://${publisher.certHost.toUpperCase()}${path}`,
    `https://localhost${path}`,
    `https://127.0.0.1:${publisher.certHost.split(':')[1]}${path}`,
    `https://sns.eu-west-1.amazonaws.com.evil.example${path}`,
    `https://sns.eu-west-1.amazonaws.com;.evil.example${path}`,
    `https://sns.eu-west-1.amazonaws.com@evil.example${path}`,
    `https://sns.s3-us-west-2.amazonaws.com${path}`,
    `https://bucket.s3.amazonaws.com${path}`,
    `https://sns.eu-west-1.amazonaws.com:8443${path}`,
    `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-ABC.pem`,
    `https:/\\sns.eu-west-1.amazonaws.com${path}`,
    ` https://sns.eu-west-1.amazonaws.com${path}`,
    'file:///etc/passwd',
    'nonsense',
  ];
  const fetches = publisher.certificates.fetches();
  for (const certUrl of urls) {
    const { status, body } = await push(publisher.envelope(termination(), { certUrl }));
    expect([status, body.detail], certUrl).toEqual([403, expect.stringContaining('SigningCertURL')]);
  }
  expect(publisher.certificates.fetches()).toBe(fetches);
});

describe('what is not of SNS’s form', () => {
  const signed = () =>
    ({ ...publisher.envelope(termination(), { Subject: 'about it' }) }) as Record<string, unknown>;

  test.each(['MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type', 'Token', 'SubscribeURL'])(
    'is refused for a line break in %s',
    async field => {
      for (const lineBreak of ['\n', '\r', '\r\n']) {
        const message = { ...signed(), [field]: `${signed()[field] ?? ''}${lineBreak}MessageId` };
        const { status, body } = await push(message);
        expect([status, body.field]).toEqual([400, field]);
      }
    },
  );

  test('is refused though it is signed, where one message can be read as another', async () => {
    const inner = publisher.envelope(termination(), { Subject: 'x' });
    const shifted = publisher.sign({ ...inner, Subject: `x\nTimestamp\n${inner.Timestamp}` });
    expect((await push(shifted)).status).toBe(400);
  });

  test.each([
    'Type',
    'MessageId',
    'TopicArn',
    'Message',
    'Timestamp',
    'Signature',
    'SigningCertURL',
    'Subject',
  ])('is refused for a %s that is not a text', async field => {
    for (const value of [['a'], 7, null, {}, true, { toString: 1 }]) {
      const { status, body } = await push({ ...signed(), [field]: value });
      expect([status, body.field]).toEqual([400, field]);
    }
  });

  test.each(['Type', 'MessageId', 'TopicArn', 'Message', 'Timestamp', 'Signature', 'SigningCertURL'])(
    'is refused without %s',
    async field => {
      const { [field]: _, ...rest } = signed();
      const { status, body } = await push(rest);
      expect([status, body.field]).toEqual([400, field]);
    },
  );

  test('is refused where it is not a JSON object', async () => {
    for (const text of ['', 'null', '7', '[]', '"text"', '{"Type":', '\u0000', '{}'.repeat(2)]) {
      expect((await push(text)).status, text).toBe(400);
    }
  });

  test('of any kind is answered 400 or 403, and the process lives', async () => {
    const before = await count();
    const field = fc.constantFrom(...Object.keys(signed()), 'Token', 'SubscribeURL', '__proto__', 'toString');
    const changes = fc.dictionary(field, fc.jsonValue(), { maxKeys: 3, minKeys: 1 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(changes, fc.jsonValue()), async changed => {
        const message =
          typeof changed === 'object' && changed !== null && !Array.isArray(changed)
            ? { ...signed(), Signature: 'AAAA', ...changed }
            : changed;
        expect([400, 403]).toContain((await push(JSON.stringify(message))).status);
      }),
      { numRuns: 200 },
    );
    await request(url).get('/healthz').expect(200);
    expect(await count()).toBe(before);
  });
});

describe('a subscription', () => {
  test('is confirmed through the API, and its SubscribeURL is never opened', async () => {
    const opened: string[] = [];
    const trap = createServer((asked, response) => {
      opened.push(asked.url ?? '');
      response.end();
    });
    await new Promise<void>(resolve => trap.listen(0, '127.0.0.1', resolve));
    const SubscribeURL = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/confirm`;
    const { SubscriptionArn = '' } = await aws.sns.send(
      new SubscribeCommand({
        TopicArn: topic,
        Protocol: 'http',
        Endpoint: `${url}/sns`,
        ReturnSubscriptionArn: true,
      }),
    );
    const pending = async () => {
      const { Attributes } = await aws.sns.send(new GetSubscriptionAttributesCommand({ SubscriptionArn }));
      return Attributes?.['PendingConfirmation'];
    };
    expect(await pending()).toBe('true');
    const request = publisher.confirmation('SubscriptionConfirmation', SubscriptionArn, { SubscribeURL });
    expect((await push(request)).body).toEqual({ outcome: 'confirmed' });
    expect(await pending()).toBe('false');
    expect(opened).toEqual([]);
    trap.close();
  });

  test('to a topic that is not ours is not confirmed', async () => {
    const TopicArn = 'arn:aws:sns:eu-west-1:999999999999:terminations';
    const message = publisher.confirmation('SubscriptionConfirmation', 'token', { TopicArn });
    expect((await push(message)).status).toBe(403);
  });

  test('that SNS no longer knows is refused; while its API is away, SNS shall try again', async () => {
    const message = publisher.confirmation('SubscriptionConfirmation', 'no such token');
    expect((await push(message)).status).toBe(400);
    await aws.stop();
    expect((await push(message)).status).toBe(503);
  });
});
