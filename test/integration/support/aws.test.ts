import { CreateQueueCommand, ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Aws, startAws } from '../../support/aws.ts';

let aws: Aws;

beforeAll(async () => {
  aws = await startAws();
});

afterAll(() => aws?.stop());

test('a message outlives kill -9 and a restart of the emulator', async () => {
  const { QueueUrl } = await aws.sqs.send(new CreateQueueCommand({ QueueName: 'kept' }));
  await aws.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'still here' }));
  await aws.restart();
  const { Messages } = await aws.sqs.send(new ReceiveMessageCommand({ QueueUrl }));
  expect(Messages?.map(({ Body }) => Body)).toEqual(['still here']);
});

test('nothing but 127.0.0.1 reaches the emulator', async () => {
  await expect(fetch(`${aws.url}/health`)).resolves.toMatchObject({ status: 200 });
  await expect(fetch(`${aws.url.replace('127.0.0.1', '127.0.0.2')}/health`)).rejects.toThrow();
});
