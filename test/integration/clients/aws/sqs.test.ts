import { CreateQueueCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SqsClient } from '../../../../src/clients/aws/sqs.ts';
import { describe as describeError } from '../../../../src/domain/errors.ts';
import { type Aws, startAws } from '../../../support/aws.ts';
import { type AwsStandIn, jsonError, startAwsStandIn } from '../../../support/clients/aws-stand-in.ts';

const QUEUE_URL = 'https://sqs.ap-south-1.amazonaws.com/111122223333/terminations';

let aws: Aws;
let client: SqsClient;
let api: AwsStandIn;
let refused: SqsClient;
const open = new AbortController();

beforeAll(async () => {
  // Where it keeps its state on disk, the emulator fails to give a message back.
  aws = await startAws({ durable: false });
  client = new SqsClient({ endpoint: aws.url, region: aws.region, credentials: aws.credentials });
  api = await startAwsStandIn();
  refused = new SqsClient(api.options);
});

afterAll(async () => {
  client?.close();
  refused?.close();
  api?.stop();
  await aws?.stop();
});

async function makeQueue(name: string): Promise<string> {
  const { QueueUrl = '' } = await aws.sqs.send(new CreateQueueCommand({ QueueName: name }));
  return QueueUrl;
}

test('a message is received with its age and count, given back, and deleted', async () => {
  const queueUrl = await makeQueue('round');
  const { MessageId: id } = await aws.sqs.send(
    new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: 'body' }),
  );
  const [first] = await client.receive(queueUrl, 10, open.signal);
  expect(first).toMatchObject({ id, body: 'body', receiveCount: 1 });
  expect(Math.abs((first?.sentAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  await client.changeVisibility(queueUrl, [first?.receipt ?? ''], 0);
  const [second] = await client.receive(queueUrl, 10, open.signal);
  expect(second).toMatchObject({ id, receiveCount: 2 });
  await client.delete(queueUrl, [second?.receipt ?? '']);
  const { ApproximateNumberOfMessagesNotVisible } = await client.attributes(queueUrl, ['All']);
  expect(ApproximateNumberOfMessagesNotVisible).toBe('0');
});

test('a long poll ends when it is aborted, and returns nothing', async () => {
  const queueUrl = await makeQueue('quiet');
  const stop = new AbortController();
  const poll = client.receive(queueUrl, 10, stop.signal);
  stop.abort();
  expect(await poll).toEqual([]);
});

test('a receipt that is no longer good is told', async () => {
  const queueUrl = await makeQueue('receipts');
  await expect(client.changeVisibility(queueUrl, ['none'], 0)).rejects.toThrow(
    /sqs:ChangeMessageVisibility .* 1 of its messages: ReceiptHandleIsInvalid/,
  );
});

test('a queue that is not there is not found, by name or by URL', async () => {
  await expect(client.queueUrl('nowhere')).rejects.toMatchObject({ code: 'not-found' });
  await expect(client.receive(`${aws.url}/000000000000/nowhere`, 10, open.signal)).rejects.toMatchObject({
    code: 'not-found',
  });
});

test('a queue that is there with other attributes is a conflict', async () => {
  await client.createQueue('twice', { VisibilityTimeout: '7' });
  await expect(client.createQueue('twice', { VisibilityTimeout: '8' })).rejects.toMatchObject({
    code: 'conflict',
  });
});

test('a call that IAM forbids names the action and the queue, and keeps what AWS said', async () => {
  api.answers = [jsonError('com.amazon.coral.service#AccessDeniedException', 'User: x is not authorized')];
  const error = await refused.receive(QUEUE_URL, 10, open.signal).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'permission' });
  expect(describeError(error)).toMatch(
    /sqs:ReceiveMessage on https:.*\/terminations.*User: x is not authorized/,
  );
  const create = await refused.createQueue('terminations', {}).catch((e: unknown) => e);
  expect(describeError(create)).toMatch(/sqs:CreateQueue on arn:aws:sqs:eu-west-1:\*:terminations/);
});

test.each([
  ['com.amazonaws.sqs#InvalidSecurity', 'credentials'],
  ['com.amazon.coral.service#UnrecognizedClientException', 'credentials'],
  ['com.amazon.coral.service#ExpiredTokenException', 'credentials'],
  ['com.amazonaws.sqs#QueueDeletedRecently', 'unavailable'],
  ['com.amazonaws.sqs#RequestThrottled', 'unavailable'],
  ['com.amazonaws.sqs#InvalidAttributeValue', 'rejected'],
] as const)('%s is distinguished', async (type, code) => {
  api.answers = [jsonError(type, 'because')];
  await expect(refused.createQueue('terminations', {})).rejects.toMatchObject({ code });
});

test('a queue is asked in its own region', async () => {
  api.asked.length = 0;
  api.answers = [{ status: 200, headers: { 'content-type': 'application/x-amz-json-1.0' }, body: '{}' }];
  expect(await refused.receive(QUEUE_URL, 10, open.signal)).toEqual([]);
  expect(api.asked).toMatchObject([{ scope: 'ap-south-1/sqs', target: 'AmazonSQS.ReceiveMessage' }]);
});

test('an endpoint where nobody answers is unavailable', async () => {
  const nobody = new SqsClient({ ...api.options, endpoint: 'http://127.0.0.1:1' });
  await expect(nobody.queueUrl('terminations')).rejects.toMatchObject({ code: 'unavailable' });
  nobody.close();
});
