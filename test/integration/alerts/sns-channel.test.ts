import { CreateTopicCommand, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { snsAlerts } from '../../../src/alerts/sns-channel.ts';
import { SnsClient } from '../../../src/clients/aws/sns.ts';
import { alert } from '../../../src/domain/alert.ts';
import { type Aws, startAws } from '../../support/aws.ts';

let aws: Aws;
let sns: SnsClient;
let topicArn: string;
let queueUrl: string;

beforeAll(async () => {
  aws = await startAws({ durable: false });
  sns = new SnsClient({ endpoint: aws.url, region: aws.region, credentials: aws.credentials });
  topicArn = (await aws.sns.send(new CreateTopicCommand({ Name: 'alerts' }))).TopicArn ?? '';
  queueUrl = (await aws.sqs.send(new CreateQueueCommand({ QueueName: 'alerts' }))).QueueUrl ?? '';
  const Endpoint = `arn:aws:sqs:${aws.region}:${aws.accountId}:alerts`;
  await aws.sns.send(new SubscribeCommand({ TopicArn: topicArn, Protocol: 'sqs', Endpoint }));
});
afterAll(async () => {
  sns?.close();
  await aws?.stop();
});

async function publish(sent: ReturnType<typeof alert>): Promise<{ Subject: string; Message: string }> {
  await snsAlerts(topicArn, (topic, message) => sns.publish(topic, message)).send(sent);
  const received = await aws.sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queueUrl, WaitTimeSeconds: 5, MaxNumberOfMessages: 1 }),
  );
  return JSON.parse(received.Messages?.[0]?.Body ?? '{}');
}

test('an alert is a message with a subject, a text for people and the JSON after it', async () => {
  const sent = alert('job-held', 'instance ids differ: ü', { node: 'web-1', job: 'j1' });
  const { Subject, Message } = await publish(sent);
  expect(Subject).toBe('chef-deregistration warning job-held: node web-1');
  const [text = '', json = ''] = Message.trim().split('\n\n');
  expect(text).toContain(
    'What happened: instance ids differ: ü\nWhat to do: read GET /jobs/j1, then decide: POST /jobs/j1/approve',
  );
  expect(JSON.parse(json)).toEqual(sent);
});

test('a subject keeps to a hundred ASCII characters, and a long text to what SNS takes', async () => {
  const { Subject, Message } = await publish(
    alert('job-failed', '\u0000'.repeat(300_000), { node: `${'ä\n'.repeat(20)}${'x'.repeat(255)}` }),
  );
  expect(Subject).toMatch(/^[ -~]{1,100}$/);
  expect(Buffer.byteLength(Message)).toBeLessThan(256 * 1024);
});

test('a topic that is not there is a failure that names it', async () => {
  const missing = topicArn.replace(/alerts$/, 'missing');
  const channel = snsAlerts(missing, (topic, message) => sns.publish(topic, message));
  await expect(channel.send(alert('redis-away', 'gone'))).rejects.toMatchObject({
    message: expect.stringContaining(missing),
  });
});
