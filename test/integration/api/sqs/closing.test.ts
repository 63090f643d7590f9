import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Receipt } from '../../../../src/api/receive.ts';
import { SqsClient } from '../../../../src/clients/aws/sqs.ts';
import { registration, type SqsFixture, startSqsFixture } from '../../../support/api/sqs-fixture.ts';
import { startAws } from '../../../support/aws.ts';
import { until } from '../../../support/process.ts';

let fixture: SqsFixture;

beforeAll(async () => {
  fixture = await startSqsFixture();
});
afterEach(() => fixture.closePollers());
afterAll(() => fixture?.stop());

test('closing ends the long poll and gives back at once what is not finished', async () => {
  // Where it keeps its state on disk, the emulator fails to give a message back, and forgets it.
  const forgetful = await startAws({ durable: false });
  const client = new SqsClient({
    endpoint: forgetful.url,
    region: forgetful.region,
    credentials: forgetful.credentials,
  });
  const queue = await fixture.makeQueue(600, forgetful);
  const never = () => new Promise<Receipt>(() => {});
  const { poller, news } = fixture.poll(queue, { sqs: client, receive: never, closeLimitMs: 500 });
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

test('closing lets finish what is in flight', async () => {
  const queue = await fixture.makeQueue(600);
  const { promise: work, resolve: finish } = Promise.withResolvers<Receipt>();
  const { poller, news } = fixture.poll(queue, { receive: () => work });
  await queue.send(registration('web-1'));
  await until('the event', () => news.length === 1);
  const closed = poller.close();
  finish({ outcome: 'accepted', jobId: 'x' });
  await closed;
  expect(await queue.size()).toBe(0);
});
