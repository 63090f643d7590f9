import { verify } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { ConfirmSubscriptionCommand, CreateTopicCommand, SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Aws, startAws } from '../../support/aws.ts';
import type { SnsMessage } from '../../support/sns-message.ts';
import { type SnsPublisher, startSnsPublisher } from '../../support/sns-publisher.ts';

interface Validator {
  validate(message: object, done: (error: Error | null) => void): void;
}
const SnsValidator: new (host: RegExp) => Validator = createRequire(import.meta.url)('sns-validator');

let aws: Aws;
let publisher: SnsPublisher;
let distrust: () => void;
const requests: { headers: IncomingHttpHeaders; body: string }[] = [];
const answers: number[] = [];
const endpoint = createServer(async (request, response) => {
  requests.push({ headers: request.headers, body: await text(request) });
  response.writeHead(answers.shift() ?? 200).end('{}');
});
let endpointUrl: string;

beforeAll(async () => {
  aws = await startAws();
  const { TopicArn = '' } = await aws.sns.send(new CreateTopicCommand({ Name: 'terminations' }));
  publisher = await startSnsPublisher({ topicArn: TopicArn, aws, retryDelayMs: 1 });
  distrust = publisher.authority.trust();
  await new Promise<void>(resolve => {
    endpoint.listen(0, '127.0.0.1', resolve);
  });
  endpointUrl = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/sns`;
});

afterAll(async () => {
  distrust?.();
  endpoint.close();
  await publisher?.stop();
  await aws?.stop();
});

beforeEach(() => {
  requests.length = 0;
  answers.length = 0;
});

/** What AWS's own validator says; nothing if it accepts the message. */
function refusal(message: object): Promise<string | undefined> {
  return new Promise(resolve => {
    new SnsValidator(/^localhost:\d+$/).validate({ ...message }, error => resolve(error?.message));
  });
}

describe.each(['1', '2'] as const)('signature version %s', version => {
  test('AWS’s validator accepts notifications, with and without subject, and subscription confirmations', async () => {
    const believed = [
      publisher.envelope({ instance: 'i-0a1b2c3d4e5f60718' }, { version }),
      publisher.envelope('Ünïcode\nand lines', { version, Subject: 'about it' }),
      publisher.confirmation('SubscriptionConfirmation', 'token', { version }),
    ];
    for (const message of believed) expect(await refusal(message)).toBeUndefined();
  });

  test('AWS’s validator refuses a message changed in any signed field', async () => {
    const signed = {
      Notification: publisher.envelope('body', { version, Subject: 'about it' }),
      SubscriptionConfirmation: publisher.confirmation('SubscriptionConfirmation', 'token', { version }),
    };
    const fields: [SnsMessage, keyof SnsMessage][] = [
      ...(['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn'] as const).map(
        field => [signed.Notification, field] as [SnsMessage, keyof SnsMessage],
      ),
      ...(['SubscribeURL', 'Token'] as const).map(
        field => [signed.SubscriptionConfirmation, field] as [SnsMessage, keyof SnsMessage],
      ),
    ];
    for (const [message, field] of fields) {
      expect(await refusal({ ...message, [field]: `${message[field]}x` }), field).toMatch(
        /signature is invalid/,
      );
    }
  });
});

test('AWS’s validator leaves the token out of an UnsubscribeConfirmation and so refuses a right one', async () => {
  const message = publisher.confirmation('UnsubscribeConfirmation', 'token');
  expect(await refusal(message)).toMatch(/signature is invalid/);
  const { Message, MessageId, SubscribeURL, Timestamp, Token, TopicArn, Type, Signature } = message;
  const signed = Object.entries({ Message, MessageId, SubscribeURL, Timestamp, Token, TopicArn, Type });
  const text = signed.map(([name, value]) => `${name}\n${value}\n`).join('');
  const certificate = await (await fetch(message.SigningCertURL)).text();
  expect(verify('RSA-SHA1', Buffer.from(text), certificate, Buffer.from(Signature, 'base64'))).toBe(true);
});

test('the certificate server counts what is fetched from it', async () => {
  const url = publisher.certificates.serve('not a certificate');
  expect(publisher.certificates.fetches(url)).toBe(0);
  expect(await (await fetch(url)).text()).toBe('not a certificate');
  expect(publisher.certificates.fetches(url)).toBe(1);
});

test('subscribed endpoints are asked to confirm, then get each message as the queues do', async () => {
  const { topicArn } = publisher;
  const queue = await makeQueue(aws.sqs, 'terminations');
  await aws.sns.send(new SubscribeCommand({ TopicArn: topicArn, Protocol: 'http', Endpoint: endpointUrl }));
  await aws.sns.send(new SubscribeCommand({ TopicArn: topicArn, Protocol: 'sqs', Endpoint: queue.arn }));

  await publisher.publish('before confirmation');
  expect(requests).toEqual([]);
  await receiveOne(aws.sqs, queue.url);

  await publisher.requestConfirmations();
  const { Type, Token } = JSON.parse(requests[0]?.body ?? '');
  expect(Type).toBe('SubscriptionConfirmation');
  await aws.sns.send(new ConfirmSubscriptionCommand({ TopicArn: topicArn, Token }));

  await publisher.publish({ some: 'event' }, { Subject: 'about it' });
  const pushed = JSON.parse(requests[1]?.body ?? '');
  const queued = JSON.parse(await receiveOne(aws.sqs, queue.url));
  expect(pushed).toEqual({ ...queued, UnsubscribeURL: pushed.UnsubscribeURL });
  expect(JSON.parse(pushed.Message)).toEqual({ some: 'event' });
  expect(await refusal(queued)).toBeUndefined();
  expect(requests[1]?.headers).toMatchObject({
    'content-type': 'text/plain; charset=UTF-8',
    'user-agent': 'Amazon Simple Notification Service Agent',
    'x-amz-sns-message-id': pushed.MessageId,
    'x-amz-sns-message-type': 'Notification',
    'x-amz-sns-topic-arn': topicArn,
    'x-amz-sns-subscription-arn': Token,
  });
});

test('a message is delivered again, under its id, after 5xx and 429 and never after another 4xx', async () => {
  const pusher = await startSnsPublisher({
    topicArn: publisher.topicArn,
    endpoints: [endpointUrl],
    retryDelayMs: 1,
  });
  answers.push(503, 429, 200);
  expect(await pusher.publish('one')).toMatchObject([{ attempts: 3, answer: { status: 200 } }]);
  expect(new Set(requests.map(({ headers }) => headers['x-amz-sns-message-id'])).size).toBe(1);
  answers.push(403);
  expect(await pusher.publish('two')).toMatchObject([{ attempts: 1, answer: { status: 403 } }]);
  answers.push(500, 500, 500, 500, 500);
  expect(await pusher.publish('three')).toMatchObject([{ attempts: 4, answer: { status: 500 } }]);
  await pusher.stop();
});

async function makeQueue(sqs: SQSClient, QueueName: string): Promise<{ url: string; arn: string }> {
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName }));
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  return { url: QueueUrl, arn: Attributes?.['QueueArn'] ?? '' };
}

async function receiveOne(sqs: SQSClient, QueueUrl: string): Promise<string> {
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }));
  return Messages?.[0]?.Body ?? '';
}
