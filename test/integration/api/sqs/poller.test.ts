import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { registration, type SqsFixture, startSqsFixture, TOPIC } from '../../../support/api/sqs-fixture.ts';
import { until } from '../../../support/process.ts';

let fixture: SqsFixture;

beforeAll(async () => {
  fixture = await startSqsFixture();
});
afterEach(() => fixture.closePollers());
afterAll(() => fixture?.stop());

function sample(path: string): string {
  return readFileSync(new URL(`../../../fixtures/${path}`, import.meta.url), 'utf8');
}

const terminated = {
  version: '0',
  id: 'f5e4c662-5a81-58aa-98b4-d8d6b2924c77',
  'detail-type': 'EC2 Instance State-change Notification',
  source: 'aws.ec2',
  detail: { 'instance-id': 'i-0a1b2c3d4e5f60718', state: 'terminated' },
};

test('each message is handed on and then deleted, a harmless one too', async () => {
  const queue = await fixture.makeQueue();
  const ids = [
    await queue.send(registration('web-1')),
    await queue.send({ ...terminated, id: undefined, detail: { ...terminated.detail, state: 'stopped' } }),
  ];
  const { news } = fixture.poll(queue);
  await until('the queue to empty', async () => (await queue.size()) === 0);
  expect(news.map(({ event, source, messageId }) => [event?.kind, source, messageId])).toEqual([
    ['registration', 'sqs', ids[0]],
    ['harmless', 'sqs', ids[1]],
  ]);
  expect(Math.abs((news[0]?.publishedAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
});

test('an event of EventBridge is known by its own id', async () => {
  const queue = await fixture.makeQueue();
  await queue.send(terminated);
  const { news } = fixture.poll(queue);
  const first = await until('the event', () => news[0]);
  expect(first.messageId).toBe(terminated.id);
});

test('a message that boto sent in Base64, or JSON within JSON, is read', async () => {
  const queue = await fixture.makeQueue();
  const message = JSON.stringify(registration('web-1'));
  await queue.send(Buffer.from(message).toString('base64'));
  await queue.send(JSON.stringify(message));
  const { news } = fixture.poll(queue);
  await until('both', () => news.length === 2);
  for (const { event } of news) expect(event).toMatchObject({ kind: 'registration', node: 'web-1' });
});

test('an SNS envelope is known by the id and time that the push has, too', async () => {
  const queue = await fixture.makeQueue();
  const envelope = fixture.publisher.envelope(registration('web-1'), { version: '2' });
  await queue.send(JSON.stringify(envelope, null, 2));
  const { news } = fixture.poll(queue);
  const first = await until('the event', () => news[0]);
  expect(first).toMatchObject({ source: 'sqs', messageId: envelope.MessageId, event: { node: 'web-1' } });
  expect(first.publishedAt.toISOString()).toBe(envelope.Timestamp);
  expect(first.quarantine).toBeUndefined();
});

test('an envelope signed more than an hour before it came into the queue is for a person to look at', async () => {
  const queue = await fixture.makeQueue();
  const Timestamp = new Date(Date.now() - 3_700_000).toISOString();
  await queue.send(fixture.publisher.envelope(registration('web-1'), { Timestamp }));
  const { news } = fixture.poll(queue);
  expect(await until('the event', () => news[0])).toMatchObject({
    quarantine: { code: 'stale', message: expect.stringContaining('a replay') },
  });
});

test('what cannot be understood or verified goes to the dead-letter queue, and holds up nothing', async () => {
  const queue = await fixture.makeQueue();
  const signed = fixture.publisher.envelope(registration('web-9'));
  const poison = [
    'no JSON',
    '[]',
    '{"some":"thing"}',
    JSON.stringify({ ...registration('..') }),
    JSON.stringify({ ...signed, Message: JSON.stringify(registration('victim')) }),
    JSON.stringify({ ...signed, ...registration('victim'), Signature: undefined }),
    JSON.stringify(fixture.publisher.envelope(registration('web-9'), { TopicArn: `${TOPIC}-of-a-stranger` })),
    JSON.stringify(fixture.publisher.envelope('just text')),
    JSON.stringify(fixture.publisher.confirmation('SubscriptionConfirmation', 'token')),
  ];
  for (const body of poison) await queue.send(body);
  await queue.send(registration('web-1'));
  const { news } = fixture.poll(queue);
  await until('the good one', () => news.length === 1);
  await until('the dead letters', async () => (await queue.deadLetters()).length === poison.length);
  expect((await queue.deadLetters()).sort()).toEqual([...poison].sort());
  expect(news).toHaveLength(1);
  expect(await queue.size()).toBe(0);
});

test('a queue can be added later, and once', async () => {
  const [first, second] = [await fixture.makeQueue(), await fixture.makeQueue()];
  const { poller, news } = fixture.poll(first);
  poller.add(second.url);
  poller.add(second.url);
  await second.send(registration('web-1'));
  await until('the event', () => news.length === 1);
  await until('the queue to empty', async () => (await second.size()) === 0);
});

test('the samples of AWS are read', async () => {
  const queue = await fixture.makeQueue();
  await queue.send(JSON.parse(sample('sqs/eb-ec2-state-change-terminated.json')).Body);
  await queue.send(sample('events/asg-lifecycle-hook-terminating.json'));
  await queue.send(sample('original/registration-deregister-without-instance-id.json'));
  const { news } = fixture.poll(queue);
  await until('all', () => news.length === 3);
  expect(news.map(({ event }) => event?.kind).sort()).toEqual([
    'instance-ended',
    'instance-ended',
    'registration',
  ]);
});
