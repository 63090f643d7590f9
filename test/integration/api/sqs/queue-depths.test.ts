import { CreateQueueCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type QueueDepth, queueDepths } from '../../../../src/api/sqs/queue-depths.ts';
import { SqsClient } from '../../../../src/clients/aws/sqs.ts';
import { type Aws, startAws } from '../../../support/aws.ts';
import { until } from '../../../support/process.ts';

let aws: Aws;
let sqs: SqsClient;
let calls = 0;
let logged: string[] = [];
const log = pino({ level: 'info' }, { write: line => void logged.push(line) });

beforeAll(async () => {
  aws = await startAws({ durable: false });
  const { url: endpoint, region, credentials } = aws;
  sqs = new SqsClient({ endpoint, region, credentials, observe: () => calls++ });
});
beforeEach(() => {
  calls = 0;
  logged = [];
});
afterAll(async () => {
  sqs?.close();
  await aws?.stop();
});

/** A queue with so many messages, and so many more in its dead-letter queue. @returns its URL */
async function fill(name: string, messages: number, deadLetters: number): Promise<string> {
  const dead = `${name}-dead-letter`;
  const deadLetterTargetArn = `arn:aws:sqs:${aws.region}:${aws.accountId}:${dead}`;
  const { QueueUrl: deadUrl = '' } = await aws.sqs.send(new CreateQueueCommand({ QueueName: dead }));
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 5 });
  const { QueueUrl: url = '' } = await aws.sqs.send(
    new CreateQueueCommand({ QueueName: name, Attributes: { RedrivePolicy } }),
  );
  const targets = [...Array(messages).fill(url), ...Array(deadLetters).fill(deadUrl)];
  for (const QueueUrl of targets) await aws.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' }));
  return url;
}

function read(depths: (urls: string[]) => QueueDepth[], urls: string[]): Promise<QueueDepth[]> {
  return until('the queues to be read', () => {
    const found = depths(urls);
    return found.length > 0 && found;
  });
}

test('messages are counted in a queue and in its dead-letter queue, without keeping anybody waiting', async () => {
  const url = await fill('counted', 2, 3);
  const depths = queueDepths(sqs, log);
  expect(depths([url])).toEqual([]);
  expect(await read(depths, [url])).toEqual([
    { queue: 'counted', messages: 2, isDeadLetter: false },
    { queue: 'counted-dead-letter', messages: 3, isDeadLetter: true },
  ]);
});

test('however often it is asked, SQS is asked once in five minutes, and again when that is over', async () => {
  const url = await fill('seldom', 1, 0);
  const depths = queueDepths(sqs, log);
  await read(depths, [url]);
  for (let times = 0; times < 10; times++) depths([url]);
  expect(calls).toBe(2);
  const hasty = queueDepths(sqs, log, 0);
  await read(hasty, [url]);
  await fill('seldom', 1, 0);
  await until('the new message', () => hasty([url])[0]?.messages === 2);
});

test('a queue that cannot be asked is left out and told once, and the others are read', async () => {
  const url = await fill('there', 1, 0);
  const absent = url.replace(/there$/, 'absent');
  const depths = queueDepths(sqs, log, 0);
  const found = await read(depths, [absent, url]);
  expect(found.map(({ queue }) => queue)).toEqual(['there', 'there-dead-letter']);
  const before = calls;
  await until('both to be read again', () => {
    depths([absent, url]);
    return calls > before + 6;
  });
  expect(logged.filter(line => line.includes('absent'))).toHaveLength(1);
});
