import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  CreateTopicCommand,
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  ListTopicsCommand,
  SetTopicAttributesCommand,
  SubscribeCommand,
} from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ListQueuesCommand,
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SnsClient } from '../../../src/clients/aws/sns.ts';
import { SqsClient } from '../../../src/clients/aws/sqs.ts';
import { keepProvisioned, lookUp, type Pair, provision } from '../../../src/provisioning/provision.ts';
import { type Aws, startAws } from '../../support/aws.ts';
import { jsonError, startAwsStandIn } from '../../support/clients/aws-stand-in.ts';
import { freePort, until } from '../../support/process.ts';
import { startSnsPublisher } from '../../support/sns-publisher.ts';
import { subscriptionsOf } from '../../support/sns-subscriptions.ts';

let aws: Aws;
let sns: SnsClient;
let sqs: SqsClient;
const logged: string[] = [];
const log = pino({ level: 'info' }, { write: line => void logged.push(line) });
/** Answers the way the API does, once it may. */
const endpoint = createServer(async (request, response) => {
  const { Type, TopicArn, Token } = JSON.parse(await text(request));
  if (Type === 'SubscriptionConfirmation') await sns.confirmSubscription(TopicArn, Token);
  response.end('{}');
});
let publicUrl: URL;

beforeAll(async () => {
  aws = await startAws();
  sns = new SnsClient(clientOptions());
  sqs = new SqsClient(clientOptions());
  await new Promise<void>(resolve => {
    endpoint.listen(0, '127.0.0.1', resolve);
  });
  publicUrl = new URL(`http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/`);
});

afterAll(async () => {
  endpoint.close();
  sns?.close();
  sqs?.close();
  await aws?.stop();
});

function clientOptions() {
  return { endpoint: aws.url, region: aws.region, credentials: aws.credentials };
}

async function queueAttributes(QueueUrl: string): Promise<Record<string, string>> {
  const { Attributes } = await aws.sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
  );
  return Attributes ?? {};
}

async function topicPolicy(TopicArn: string): Promise<string | undefined> {
  const { Attributes } = await aws.sns.send(new GetTopicAttributesCommand({ TopicArn }));
  return Attributes?.['Policy'];
}

async function queueNames(prefix: string): Promise<string[]> {
  const { QueueUrls = [] } = await aws.sqs.send(new ListQueuesCommand({ QueueNamePrefix: prefix }));
  return QueueUrls.map(url => url.split('/').at(-1) ?? '').sort();
}

async function topicNames(prefix: string): Promise<string[]> {
  const { Topics = [] } = await aws.sns.send(new ListTopicsCommand({}));
  return Topics.map(({ TopicArn = '' }) => TopicArn.split(':').at(-1) ?? '').filter(name =>
    name.startsWith(prefix),
  );
}

/** Provisions and pushes until `done` says so. */
async function keptUntil(
  options: Partial<Parameters<typeof keepProvisioned>[0]> & { name: string },
  done: () => Promise<boolean> | boolean,
): Promise<Pair[]> {
  const places: Pair[] = [];
  const keeping = keepProvisioned({
    sns,
    sqs,
    create: true,
    log,
    onReady: place => places.push(place),
    confirmWaitMs: 20,
    ...options,
  });
  await until('provisioning', done);
  await keeping.close();
  return places;
}

test('several processes that provision at once make one of each', async () => {
  const places = await Promise.all(Array.from({ length: 6 }, () => provision({ sns, sqs, name: 'race-1' })));
  const [first] = places;
  for (const place of places) expect(place).toEqual(first);
  expect(await queueNames('race-1')).toEqual(['race-1', 'race-1-dead-letter']);
  expect(await topicNames('race-1')).toEqual(['race-1']);
  const subscriptions = await subscriptionsOf(aws, first?.topicArn ?? '');
  expect(subscriptions).toMatchObject([
    { protocol: 'sqs', endpoint: `arn:aws:sqs:${aws.region}:${aws.accountId}:race-1`, raw: false },
  ]);
  const { Policy = '', RedrivePolicy = '' } = await queueAttributes(first?.queueUrl ?? '');
  expect(JSON.parse(Policy).Statement).toHaveLength(1);
  expect(JSON.parse(RedrivePolicy)).toEqual({
    deadLetterTargetArn: first?.deadLetterArn,
    maxReceiveCount: 5,
  });
});

test('what is made keeps messages for 14 days and signs with SHA-256', async () => {
  const made = await provision({ sns, sqs, name: 'made-1' });
  expect(await queueAttributes(made.queueUrl)).toMatchObject({
    MessageRetentionPeriod: '1209600',
    VisibilityTimeout: '60',
  });
  const deadLetter = await queueAttributes(made.deadLetterQueueUrl);
  expect(deadLetter['MessageRetentionPeriod']).toBe('1209600');
  for (const { Policy = '', QueueArn } of [await queueAttributes(made.queueUrl), deadLetter]) {
    expect(JSON.parse(Policy).Statement).toEqual([
      expect.objectContaining({
        Effect: 'Allow',
        Principal: { Service: 'sns.amazonaws.com' },
        Action: 'sqs:SendMessage',
        Resource: QueueArn,
        Condition: { ArnEquals: { 'aws:SourceArn': made.topicArn } },
      }),
    ]);
  }
  const topic = await aws.sns.send(new GetTopicAttributesCommand({ TopicArn: made.topicArn }));
  expect(topic.Attributes?.['SignatureVersion']).toBe('2');
});

test('EventBridge rules of this account may send to the queue and topic of AWS services, nobody else’s, and not to the hosts’', async () => {
  const made = await provision({ sns, sqs, name: 'rules-1-aws', writers: 'aws' });
  await provision({ sns, sqs, name: 'rules-1-aws', writers: 'aws' });
  const hosts = await provision({ sns, sqs, name: 'rules-1' });
  const ofRules = (policy = '{"Statement":[]}') =>
    JSON.parse(policy).Statement.filter(
      ({ Principal }: { Principal: { Service?: string } }) => Principal.Service === 'events.amazonaws.com',
    );
  const condition = {
    StringEquals: { 'aws:SourceAccount': aws.accountId },
    ArnLike: { 'aws:SourceArn': `arn:aws:events:${aws.region}:${aws.accountId}:rule/*` },
  };
  const { Policy, QueueArn } = await queueAttributes(made.queueUrl);
  expect(ofRules(Policy)).toEqual([
    expect.objectContaining({ Action: 'sqs:SendMessage', Resource: QueueArn, Condition: condition }),
  ]);
  expect(ofRules(await topicPolicy(made.topicArn))).toEqual([
    expect.objectContaining({ Action: 'sns:Publish', Resource: made.topicArn, Condition: condition }),
  ]);
  expect(ofRules((await queueAttributes(made.deadLetterQueueUrl))['Policy'])).toEqual([]);
  expect(ofRules((await queueAttributes(hosts.queueUrl))['Policy'])).toEqual([]);
  expect(ofRules(await topicPolicy(hosts.topicArn))).toEqual([]);
});

test('a topic’s own policy keeps its statements', async () => {
  const { TopicArn = '' } = await aws.sns.send(new CreateTopicCommand({ Name: 'rules-2-aws' }));
  const theirs = { Sid: 'theirs', Effect: 'Deny', Principal: '*', Action: 'sns:Publish' };
  const AttributeValue = JSON.stringify({ Version: '2008-10-17', Id: 'theirs', Statement: [theirs] });
  await aws.sns.send(new SetTopicAttributesCommand({ TopicArn, AttributeName: 'Policy', AttributeValue }));
  await provision({ sns, sqs, name: 'rules-2-aws', writers: 'aws' });
  const policy = JSON.parse((await topicPolicy(TopicArn)) ?? '');
  expect(policy).toMatchObject({ Version: '2008-10-17', Id: 'theirs' });
  expect(policy.Statement).toEqual([theirs, expect.objectContaining({ Sid: 'ChefDeregistrationRules' })]);
});

test('what an operator made keeps its attributes, and gets only what is missing', async () => {
  const { TopicArn = '' } = await aws.sns.send(
    new CreateTopicCommand({ Name: 'old-1', Attributes: { DisplayName: 'ours' } }),
  );
  const { QueueUrl = '' } = await aws.sqs.send(
    new CreateQueueCommand({ QueueName: 'old-1', Attributes: { VisibilityTimeout: '7' } }),
  );
  const theirs = { Sid: 'EventBridge', Effect: 'Allow', Principal: '*', Action: 'sqs:SendMessage' };
  await aws.sqs.send(
    new SetQueueAttributesCommand({
      QueueUrl,
      // One statement need not be in a list.
      Attributes: { Policy: JSON.stringify({ Version: '2008-10-17', Id: 'theirs', Statement: theirs }) },
    }),
  );
  await provision({ sns, sqs, name: 'old-1' });
  const once = await queueAttributes(QueueUrl);
  expect(once['VisibilityTimeout']).toBe('7');
  expect(once['RedrivePolicy']).toContain('old-1-dead-letter');
  const policy = JSON.parse(once['Policy'] ?? '');
  expect(policy).toMatchObject({ Version: '2008-10-17', Id: 'theirs' });
  expect(policy.Statement[0]).toEqual(theirs);
  expect(policy.Statement[1]).toMatchObject({ Sid: 'ChefDeregistrationTopic' });
  const topic = await aws.sns.send(new GetTopicAttributesCommand({ TopicArn }));
  expect(topic.Attributes).toMatchObject({ DisplayName: 'ours' });
  expect(topic.Attributes?.['SignatureVersion']).toBeUndefined();

  const narrowed = { ...policy, Statement: [{ ...policy.Statement[1], Effect: 'Deny' }] };
  const redrive = JSON.stringify({
    deadLetterTargetArn: 'arn:aws:sqs:eu-west-1:000000000000:x',
    maxReceiveCount: 9,
  });
  await aws.sqs.send(
    new SetQueueAttributesCommand({
      QueueUrl,
      Attributes: { Policy: JSON.stringify(narrowed), RedrivePolicy: redrive },
    }),
  );
  await provision({ sns, sqs, name: 'old-1' });
  const twice = await queueAttributes(QueueUrl);
  expect(JSON.parse(twice['Policy'] ?? '')).toEqual(narrowed);
  expect(twice['RedrivePolicy']).toBe(redrive);
});

test('a subscription that an operator made is not made again', async () => {
  const place = await provision({ sns, sqs, name: 'old-2' });
  const { QueueArn } = await queueAttributes(place.deadLetterQueueUrl);
  await aws.sns.send(
    new SubscribeCommand({
      TopicArn: place.topicArn,
      Protocol: 'http',
      Endpoint: `${publicUrl.origin}/sns`,
      Attributes: { RedrivePolicy: JSON.stringify({ deadLetterTargetArn: QueueArn }), FilterPolicy: '{}' },
    }),
  );
  const push = (await subscriptionsOf(aws, place.topicArn)).find(({ protocol }) => protocol === 'http');
  await sns.confirmSubscription(place.topicArn, push?.arn ?? '');
  logged.length = 0;
  await keptUntil({ name: 'old-2', publicUrl }, () => /SNS pushes/.test(logged.join()));
  expect(await subscriptionsOf(aws, place.topicArn)).toHaveLength(2);
});

test('what is published reaches the queue as an envelope', async () => {
  const { topicArn, queueUrl } = await provision({ sns, sqs, name: 'flow-1' });
  const publisher = await startSnsPublisher({ topicArn, aws });
  await publisher.publish({ some: 'event' });
  const { Messages } = await aws.sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queueUrl, WaitTimeSeconds: 5 }),
  );
  await publisher.stop();
  expect(JSON.parse(Messages?.[0]?.Body ?? '')).toMatchObject({ Type: 'Notification', TopicArn: topicArn });
});

test('the public URL is subscribed, asked to confirm until it did, and backed by the dead-letter queue', async () => {
  logged.length = 0;
  const topicArn = `arn:aws:sns:${aws.region}:${aws.accountId}:push-1`;
  const publisher = await startSnsPublisher({ topicArn, aws });
  const believed: string[] = [];
  const [place] = await keptUntil(
    { name: 'push-1', publicUrl, onReady: ({ topicArn: arn }) => believed.push(arn) },
    async () => {
      if (/can SNS reach PUBLIC_URL/.test(logged.join())) await publisher.requestConfirmations();
      return /SNS pushes/.test(logged.join());
    },
  );
  await publisher.stop();
  expect(place).toBeUndefined();
  expect(believed).toEqual([topicArn]);
  const push = (await subscriptionsOf(aws, topicArn)).filter(({ protocol }) => protocol === 'http');
  expect(push).toMatchObject([{ endpoint: `${publicUrl.origin}/sns`, pending: false, raw: false }]);
  const { Attributes } = await aws.sns.send(
    new GetSubscriptionAttributesCommand({ SubscriptionArn: push[0]?.arn ?? '' }),
  );
  expect(JSON.parse(Attributes?.['RedrivePolicy'] ?? '')).toEqual({
    deadLetterTargetArn: `arn:aws:sqs:${aws.region}:${aws.accountId}:push-1-dead-letter`,
  });
});

test('a process that provisions nothing waits for the queue, and then knows its topic', async () => {
  await expect(lookUp({ sqs, name: 'later-1' })).rejects.toMatchObject({ code: 'not-found' });
  const places: Pair[] = [];
  const keeping = keepProvisioned({
    ...{ sns, sqs, log, name: 'later-1', create: false },
    onReady: place => places.push(place),
  });
  const { topicArn, queueUrl } = await provision({ sns, sqs, name: 'later-1' });
  await until('the place', () => places[0]);
  await keeping.close();
  expect(places).toEqual([{ topicArn, queueUrl }]);
});

test('AWS that is away at start is waited for', async () => {
  logged.length = 0;
  const port = await freePort();
  const gate = createServer((request, response) => response.writeHead(503).end(request.url));
  await new Promise<void>(resolve => {
    gate.listen(port, '127.0.0.1', resolve);
  });
  const away = { endpoint: `http://127.0.0.1:${port}`, region: aws.region, credentials: aws.credentials };
  const clients = { sns: new SnsClient(away), sqs: new SqsClient(away) };
  const places: Pair[] = [];
  const keeping = keepProvisioned({
    ...{ ...clients, log, name: 'away-1', create: true },
    onReady: place => places.push(place),
  });
  await until('the failure in the log', () => /topic and queue away-1: failed/.test(logged.join()));
  gate.removeAllListeners('request');
  gate.on('request', async (request, response) => {
    const body = await text(request);
    const { host: _, 'content-length': __, connection: ___, ...headers } = request.headers;
    const answer = await fetch(`${aws.url}${request.url}`, {
      method: 'POST',
      headers: headers as Record<string, string>,
      body,
    });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
    response.end(await answer.text());
  });
  await until('the place', () => places[0]);
  await keeping.close();
  clients.sns.close();
  clients.sqs.close();
  gate.closeAllConnections();
  gate.close();
  expect(logged.filter(line => /away-1: failed/.test(line))).toHaveLength(1);
  expect(logged.join()).toMatch(/away-1: works again/);
});

test('what IAM forbids is reported once, with action and queue, and tried again', async () => {
  logged.length = 0;
  const api = await startAwsStandIn();
  api.answers = [jsonError('com.amazon.coral.service#AccessDeniedException', 'User: x is not authorized')];
  const clients = { sns: new SnsClient(api.options), sqs: new SqsClient(api.options) };
  const keeping = keepProvisioned({
    ...{ ...clients, log, name: 'forbidden-1', create: true, refusedWaitMs: 1 },
    onReady: () => {},
  });
  await until('several attempts', () => api.asked.length >= 3);
  await keeping.close();
  clients.sns.close();
  clients.sqs.close();
  api.stop();
  expect(logged).toHaveLength(1);
  expect(JSON.parse(logged[0] ?? '')).toMatchObject({
    err: expect.stringMatching(
      /sqs:GetQueueUrl on arn:aws:sqs:eu-west-1:\*:forbidden-1-dead-letter.*IAM policy/,
    ),
  });
});
