import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Receipt } from '../../../../src/api/receive.ts';
import { registration, type SqsFixture, startSqsFixture } from '../../../support/api/sqs-fixture.ts';
import { until } from '../../../support/process.ts';

let fixture: SqsFixture;

beforeAll(async () => {
  fixture = await startSqsFixture();
});
afterEach(() => fixture.closePollers());
afterAll(() => fixture?.stop());

test('a message whose event was not taken stays, and comes again', async () => {
  const queue = await fixture.makeQueue();
  let failures = 0;
  const { news } = fixture.poll(queue, {
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
  const queue = await fixture.makeQueue();
  const { news } = fixture.poll(queue, {
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

test('while Redis is away nothing is received, and what is in flight is kept and taken later', async () => {
  const queue = await fixture.makeQueue();
  let away = true;
  let probes = 0;
  const down = async () => {
    if (away) throw new Error('Redis is away');
  };
  const taken: string[] = [];
  fixture.poll(queue, {
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
  await until('the outage in the log', () =>
    /Redis, so no queue is read: failed/.test(fixture.logged.join()),
  );
  const more = Array.from({ length: 30 }, (_, at) => registration(`web-${at + 1}`));
  for (let at = 0; at < more.length; at += 10) {
    await fixture.aws.sqs.send(
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
  expect(fixture.logged.filter(line => /Redis, so no queue is read: failed/.test(line))).toHaveLength(1);
  expect(fixture.logged.join()).toMatch(/Redis, so no queue is read: works again/);
});

test('when everything fails that Redis is asked for, one message at a time is tried', async () => {
  const queue = await fixture.makeQueue();
  let broken = true;
  fixture.poll(queue, {
    receive: async () => {
      if (broken) throw new Error('OOM command not allowed');
      return { outcome: 'accepted', jobId: 'x' };
    },
  });
  for (let at = 0; at < 20; at++) await queue.send(registration(`web-${at}`));
  await fixture.seconds(4);
  broken = false;
  await until('the queue to empty', async () => (await queue.size()) === 0);
  expect(await queue.deadLetters()).toEqual([]);
});

test('a message stays hidden as long as it is worked on', async () => {
  const queue = await fixture.makeQueue(1);
  const { promise: work, resolve: finish } = Promise.withResolvers<Receipt>();
  const { news } = fixture.poll(queue, { receive: () => work });
  await queue.send(registration('web-1'));
  await until('the event', () => news.length === 1);
  await fixture.seconds(3);
  expect(news).toHaveLength(1);
  finish({ outcome: 'accepted', jobId: 'x' });
  await until('the queue to empty', async () => (await queue.size()) === 0);
  expect(news).toHaveLength(1);
});

test('SQS that is killed and started again is read on, with two lines in the log', async () => {
  const queue = await fixture.makeQueue();
  const { news } = fixture.poll(queue);
  await queue.send(registration('web-1'));
  await until('the first', () => news.length === 1);
  await until('the queue to empty', async () => (await queue.size()) === 0);
  await fixture.aws.restart();
  await until('the outage in the log', () => /SQS queue .*: failed/.test(fixture.logged.join()));
  await queue.send(registration('web-2'));
  await until('the second', () => news.length === 2);
  expect(fixture.logged.filter(line => /SQS queue .*: failed/.test(line))).toHaveLength(1);
  expect(fixture.logged.filter(line => /SQS queue .*: works again/.test(line))).toHaveLength(1);
});
