import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Delivery, Receipt } from '../../src/api/receive.ts';
import { type Poller, type PollerDependencies, startPoller } from '../../src/api/sqs.ts';
import { snsGate } from '../../src/api/verify-sns.ts';
import { SigningCertificates } from '../../src/clients/signing-certificate.ts';
import { SqsClient } from '../../src/clients/sqs.ts';
import { type Aws, startAws } from '../parts/aws.ts';
import { until } from '../parts/process.ts';
import { type SnsPublisher, startSnsPublisher } from '../parts/sns-publisher.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:deaths';

let aws: Aws;
let sqs: SqsClient;
let publisher: SnsPublisher;
let distrust: () => void;
const certificates = new SigningCertificates();
let logged: string[] = [];
let pollers: Poller[] = [];
const log = pino({ level: 'info' }, { write: line => void logged.push(line) });

beforeAll(async () => {
  aws = await startAws();
  sqs = new SqsClient({ endpoint: aws.url, region: aws.region, credentials: aws.credentials });
  publisher = await startSnsPublisher({ topicArn: TOPIC });
  distrust = publisher.authority.trust();
});

beforeEach(async () => {
  await Promise.all(pollers.map(poller => poller.close()));
  pollers = [];
  logged = [];
});

afterAll(async () => {
  await Promise.all(pollers.map(poller => poller.close()));
  sqs?.close();
  await certificates.close();
  distrust?.();
  await publisher?.stop();
  await aws?.stop();
});

interface Queue {
  url: string;
  send: (body: unknown) => Promise<string>;
  /** Messages that are there, visible and hidden. */
  size: () => Promise<number>;
  deadLetters: () => Promise<string[]>;
}

/** A queue that hides messages for a second, and gives up a message after three times. */
async function makeQueue(visibilitySeconds = 1, at: Aws = aws): Promise<Queue> {
  const name = randomUUID();
  const { QueueUrl: dead = '' } = await at.sqs.send(new CreateQueueCommand({ QueueName: `${name}-dead` }));
  const arn = `arn:aws:sqs:${aws.region}:${aws.accountId}:${name}-dead`;
  const { QueueUrl: url = '' } = await at.sqs.send(
    new CreateQueueCommand({
      QueueName: name,
      Attributes: {
        VisibilityTimeout: String(visibilitySeconds),
        RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount: 3 }),
      },
    }),
  );
  return {
    url,
    async send(body) {
      const MessageBody = typeof body === 'string' ? body : JSON.stringify(body);
      const { MessageId = '' } = await at.sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody }));
      return MessageId;
    },
    async size() {
      const { Attributes = {} } = await at.sqs.send(
        new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['All'] }),
      );
      return (
        Number(Attributes['ApproximateNumberOfMessages']) +
        Number(Attributes['ApproximateNumberOfMessagesNotVisible'])
      );
    },
    async deadLetters() {
      const { Messages = [] } = await at.sqs.send(
        new ReceiveMessageCommand({ QueueUrl: dead, MaxNumberOfMessages: 10, VisibilityTimeout: 0 }),
      );
      return Messages.map(({ Body = '' }) => Body);
    },
  };
}

/** Resolves when SQS shows a message again that it hid for so many seconds. */
async function seconds(hidden: number): Promise<void> {
  const witness = await makeQueue(hidden);
  await witness.send('seen twice');
  const receive = () =>
    aws.sqs.send(new ReceiveMessageCommand({ QueueUrl: witness.url, WaitTimeSeconds: 1 }));
  await receive();
  await until('the witness to be seen again', async () => (await receive()).Messages?.length);
}

type Received = Delivery;

/** A poller, and everything it handed on. */
function poll(queue: Queue, options: Partial<PollerDependencies> = {}): { poller: Poller; news: Received[] } {
  const news: Received[] = [];
  const receive = async (delivery: Delivery): Promise<Receipt> => {
    news.push(delivery);
    return (await options.receive?.(delivery)) ?? { outcome: 'ignored' };
  };
  const poller = startPoller([queue.url], {
    sqs,
    verify: snsGate({
      topics: () => new Set([TOPIC]),
      certificateHosts: [publisher.certHost],
      certificate: url => certificates.get(url),
    }),
    ready: async () => {},
    log,
    ...options,
    receive,
  });
  pollers.push(poller);
  return { poller, news };
}

function registration(node: string) {
  return { type: 'registration', method: 'deregister', chef_name: node };
}

function sample(path: string): string {
  return readFileSync(new URL(`../payloads/${path}`, import.meta.url), 'utf8');
}

const terminated = {
  version: '0',
  id: 'f5e4c662-5a81-58aa-98b4-d8d6b2924c77',
  'detail-type': 'EC2 Instance State-change Notification',
  source: 'aws.ec2',
  detail: { 'instance-id': 'i-0a1b2c3d4e5f60718', state: 'terminated' },
};

test('each message is handed on and then deleted, a harmless one too', async () => {
  const queue = await makeQueue();
  const ids = [
    await queue.send(registration('web-1')),
    await queue.send({ ...terminated, id: undefined, detail: { ...terminated.detail, state: 'stopped' } }),
  ];
  const { news } = poll(queue);
  await until('the queue to empty', async () => (await queue.size()) === 0);
  expect(news.map(({ event, source, messageId }) => [event?.kind, source, messageId])).toEqual([
    ['registration', 'sqs', ids[0]],
    ['harmless', 'sqs', ids[1]],
  ]);
  expect(Math.abs((news[0]?.publishedAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
});

test('an event of EventBridge is known by its own id', async () => {
  const queue = await makeQueue();
  await queue.send(terminated);
  const { news } = poll(queue);
  const first = await until('the event', () => news[0]);
  expect(first.messageId).toBe(terminated.id);
});

test('a message that boto sent in Base64, or JSON within JSON, is read', async () => {
  const queue = await makeQueue();
  const message = JSON.stringify(registration('web-1'));
  await queue.send(Buffer.from(message).toString('base64'));
  await queue.send(JSON.stringify(message));
  const { news } = poll(queue);
  await until('both', () => news.length === 2);
  for (const { event } of news) expect(event).toMatchObject({ kind: 'registration', node: 'web-1' });
});

test('an SNS envelope is known by the id and time that the push has, too', async () => {
  const queue = await makeQueue();
  const envelope = publisher.envelope(registration('web-1'), { version: '2' });
  await queue.send(JSON.stringify(envelope, null, 2));
  const { news } = poll(queue);
  const first = await until('the event', () => news[0]);
  expect(first).toMatchObject({ source: 'sqs', messageId: envelope.MessageId, event: { node: 'web-1' } });
  expect(first.publishedAt.toISOString()).toBe(envelope.Timestamp);
  expect(first.quarantine).toBeUndefined();
});

test('an envelope signed more than an hour before it came into the queue is for a person to look at', async () => {
  const queue = await makeQueue();
  const Timestamp = new Date(Date.now() - 3_700_000).toISOString();
  await queue.send(publisher.envelope(registration('web-1'), { Timestamp }));
  const { news } = poll(queue);
  expect(await until('the event', () => news[0])).toMatchObject({
    quarantine: expect.stringContaining('a replay'),
  });
});

test('what cannot be understood or believed goes to the dead-letter queue, and holds up nothing', async () => {
  const queue = await makeQueue();
  const signed = publisher.envelope(registration('web-9'));
  const poison = [
    'no JSON',
    '[]',
    '{"some":"thing"}',
    JSON.stringify({ ...registration('..') }),
    JSON.stringify({ ...signed, Message: JSON.stringify(registration('victim')) }),
    JSON.stringify({ ...signed, ...registration('victim'), Signature: undefined }),
    JSON.stringify(publisher.envelope(registration('web-9'), { TopicArn: `${TOPIC}-of-a-stranger` })),
    JSON.stringify(publisher.envelope('just text')),
    JSON.stringify(publisher.confirmation('SubscriptionConfirmation', 'token')),
  ];
  for (const body of poison) await queue.send(body);
  await queue.send(registration('web-1'));
  const { news } = poll(queue);
  await until('the good one', () => news.length === 1);
  await until('the dead letters', async () => (await queue.deadLetters()).length === poison.length);
  expect((await queue.deadLetters()).sort()).toEqual([...poison].sort());
  expect(news).toHaveLength(1);
  expect(await queue.size()).toBe(0);
});

test('a message whose event was not taken stays, and comes again', async () => {
  const queue = await makeQueue();
  let failures = 0;
  const { news } = poll(queue, {
    receive: async () => {
      if (failures++ === 0) throw new Error('out of order');
      return { outcome: 'accepted', jobId: 'x' };
    },
  });
  await queue.send(registration('web-1'));
  await until('the second delivery', () => news.length === 2);
  await until('the queue to empty', async () => (await queue.size()) === 0);
});

test('an event that can never be taken ends in the dead-letter queue', async () => {
  const queue = await makeQueue();
  const { news } = poll(queue, {
    receive: async ({ event }) => {
      if (event?.kind === 'registration' && event.node === 'bad') throw new Error('out of order');
      return { outcome: 'accepted', jobId: 'x' };
    },
  });
  await queue.send(registration('bad'));
  await queue.send(registration('good'));
  await until('the dead letter', async () => (await queue.deadLetters()).length === 1);
  expect(news.filter(({ event }) => event?.kind === 'registration' && event.node === 'good')).toHaveLength(1);
});

test('while Redis is away nothing is received, and what is in hand is kept and taken later', async () => {
  const queue = await makeQueue();
  let away = true;
  let probes = 0;
  const down = async () => {
    if (away) throw new Error('Redis is away');
  };
  const taken: string[] = [];
  poll(queue, {
    ready: () => {
      probes += 1;
      return down();
    },
    receive: async ({ event }) => {
      await down();
      if (event?.kind === 'registration') taken.push(event.node);
      return { outcome: 'accepted', jobId: 'x' };
    },
  });
  await queue.send(registration('web-0'));
  await until('the outage in the log', () => /Redis, so no queue is read: failed/.test(logged.join()));
  const more = Array.from({ length: 30 }, (_, at) => registration(`web-${at + 1}`));
  for (let at = 0; at < more.length; at += 10) {
    await aws.sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: queue.url,
        Entries: more
          .slice(at, at + 10)
          .map((each, id) => ({ Id: String(id), MessageBody: JSON.stringify(each) })),
      }),
    );
  }
  // Longer than all the receives that a message has, were it handed out each second.
  await until('several probes', () => probes >= 5);
  away = false;
  await until('the queue to empty', async () => (await queue.size()) === 0);
  expect(new Set(taken).size).toBe(31);
  expect(await queue.deadLetters()).toEqual([]);
  expect(logged.filter(line => /Redis, so no queue is read: failed/.test(line))).toHaveLength(1);
  expect(logged.join()).toMatch(/Redis, so no queue is read: works again/);
});

test('when everything fails that Redis is asked for, one message at a time is tried', async () => {
  const queue = await makeQueue();
  let broken = true;
  poll(queue, {
    receive: async () => {
      if (broken) throw new Error('OOM command not allowed');
      return { outcome: 'accepted', jobId: 'x' };
    },
  });
  for (let at = 0; at < 20; at++) await queue.send(registration(`web-${at}`));
  await seconds(4);
  broken = false;
  await until('the queue to empty', async () => (await queue.size()) === 0);
  expect(await queue.deadLetters()).toEqual([]);
});

test('a message stays hidden as long as it is worked on', async () => {
  const queue = await makeQueue(1);
  const { promise: work, resolve: finish } = Promise.withResolvers<Receipt>();
  const { news } = poll(queue, { receive: () => work });
  await queue.send(registration('web-1'));
  await until('the event', () => news.length === 1);
  await seconds(3);
  expect(news).toHaveLength(1);
  finish({ outcome: 'accepted', jobId: 'x' });
  await until('the queue to empty', async () => (await queue.size()) === 0);
  expect(news).toHaveLength(1);
});

test('SQS that is killed and started again is read on, with two lines in the log', async () => {
  const queue = await makeQueue();
  const { news } = poll(queue);
  await queue.send(registration('web-1'));
  await until('the first', () => news.length === 1);
  await until('the queue to empty', async () => (await queue.size()) === 0);
  await aws.restart();
  await until('the outage in the log', () => /SQS queue .*: failed/.test(logged.join()));
  await queue.send(registration('web-2'));
  await until('the second', () => news.length === 2);
  expect(logged.filter(line => /SQS queue .*: failed/.test(line))).toHaveLength(1);
  expect(logged.filter(line => /SQS queue .*: works again/.test(line))).toHaveLength(1);
});

test('closing ends the long poll and gives back at once what is not finished', async () => {
  // Where it keeps its state on disk, the emulator fails to give a message back, and forgets it.
  const forgetful = await startAws({ durable: false });
  const client = new SqsClient({
    endpoint: forgetful.url,
    region: forgetful.region,
    credentials: forgetful.credentials,
  });
  const queue = await makeQueue(600, forgetful);
  const never = () => new Promise<Receipt>(() => {});
  const { poller, news } = poll(queue, { sqs: client, receive: never, closeLimitMs: 500 });
  await queue.send(registration('web-1'));
  await until('the event', () => news.length === 1);
  const closed = poller.close();
  // The emulator does not notice that nobody waits any more: the long poll that was ended takes the next message.
  await queue.send('for nobody');
  await closed;
  const { Messages } = await forgetful.sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queue.url, MaxNumberOfMessages: 10 }),
  );
  client.close();
  await forgetful.stop();
  expect(Messages?.map(({ Body }) => Body)).toEqual([JSON.stringify(registration('web-1'))]);
});

test('closing lets finish what is in hand', async () => {
  const queue = await makeQueue(600);
  const { promise: work, resolve: finish } = Promise.withResolvers<Receipt>();
  const { poller, news } = poll(queue, { receive: () => work });
  await queue.send(registration('web-1'));
  await until('the event', () => news.length === 1);
  const closed = poller.close();
  finish({ outcome: 'accepted', jobId: 'x' });
  await closed;
  expect(await queue.size()).toBe(0);
});

test('a queue can be added later, and once', async () => {
  const [first, second] = [await makeQueue(), await makeQueue()];
  const { poller, news } = poll(first);
  poller.add(second.url);
  poller.add(second.url);
  await second.send(registration('web-1'));
  await until('the event', () => news.length === 1);
  await until('the queue to empty', async () => (await second.size()) === 0);
});

test('the samples of AWS are read', async () => {
  const queue = await makeQueue();
  await queue.send(JSON.parse(sample('sqs/eb-ec2-state-change-terminated.json')).Body);
  await queue.send(sample('events/asg-lifecycle-hook-terminating.json'));
  await queue.send(sample('original/registration-deregister-without-instance-id.json'));
  const { news } = poll(queue);
  await until('all', () => news.length === 3);
  expect(news.map(({ event }) => event?.kind).sort()).toEqual([
    'instance-ended',
    'instance-ended',
    'registration',
  ]);
});
