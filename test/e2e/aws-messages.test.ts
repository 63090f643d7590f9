import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventBridge } from '../fixtures/samples.ts';
import { type Aws, startAws } from '../support/aws.ts';
import { type AwsFront, startAwsFront } from '../support/aws-front.ts';
import { registerNode } from '../support/chef-server.ts';
import { type Ec2StandIn, startEc2StandIn } from '../support/ec2.ts';
import { GONE, useScene, WHOLE } from '../support/scene.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';

const scene = useScene();
let queues: Aws;
let ec2: Ec2StandIn;
let aws: AwsFront;

beforeAll(async () => {
  [queues, ec2] = await Promise.all([startAws({ durable: false }), startEc2StandIn()]);
  const behind = { sqs: queues.url, ec2: ec2.options.endpoint };
  aws = await startAwsFront({ behind, lifecycleState: 'Terminating:Wait' });
});
beforeEach(() => {
  ec2.instances.clear();
  aws.asked.length = 0;
});
afterAll(async () => {
  aws?.stop();
  ec2?.stop();
  await queues?.stop();
});

/** A queue that gives a message up after it was received once. */
async function makeQueue(name: string): Promise<{ url: string; deadLetterUrl: string }> {
  const make = async (QueueName: string, Attributes: Record<string, string>) =>
    (await queues.sqs.send(new CreateQueueCommand({ QueueName, Attributes }))).QueueUrl ?? '';
  const deadLetterUrl = await make(`${name}-dead-letter`, {});
  const deadLetterTargetArn = `arn:aws:sqs:${queues.region}:${queues.accountId}:${name}-dead-letter`;
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 1 });
  return { url: await make(name, { RedrivePolicy, VisibilityTimeout: '1' }), deadLetterUrl };
}

function send(QueueUrl: string, MessageBody: string): Promise<unknown> {
  return queues.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
}

async function messagesIn(QueueUrl: string): Promise<number> {
  const AttributeNames = ['ApproximateNumberOfMessages' as const];
  const { Attributes } = await queues.sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames }));
  return Number(Attributes?.ApproximateNumberOfMessages);
}

test.each([
  ['in the middle of a lifecycle action', 1, 'MidTerminatingLifecycleAction'],
  ['while connections drain', 2, 'WaitingForELBConnectionDraining'],
])('a termination notice that Auto Scaling sends %s removes the node', async (_, number, StatusCode) => {
  const instance = instanceId(number);
  const service = await scene.serve();
  await registerNode(scene.world.chef, { name: `ends-${number}`, instanceId: instance });
  const notice = { ...terminationNotice(instance), StatusCode };
  expect(await service.publish(notice)).toMatchObject({ outcome: 'accepted' });
  await service.rested();
  expect(await scene.registered(`ends-${number}`)).toEqual(GONE);
});

test('a notice with a status code that AWS does not document removes a node only after EC2 confirms the end', async () => {
  const [ended, lives] = [instanceId(3), instanceId(4)];
  const service = await scene.serve({ ...aws.env });
  await registerNode(scene.world.chef, { name: 'has-ended', instanceId: ended });
  await registerNode(scene.world.chef, { name: 'lives-on', instanceId: lives });
  ec2.instances.set(ended, 'terminated').set(lives, 'running');
  for (const instance of [ended, lives]) {
    const notice = { ...terminationNotice(instance), StatusCode: 'WhatComesNext' };
    expect(await service.publish(notice)).toMatchObject({ outcome: 'accepted' });
  }
  await service.rested();
  expect(await scene.registered('has-ended')).toEqual(GONE);
  expect(await scene.registered('lives-on')).toEqual(WHOLE);
  expect(service.output()).toContain('StatusCode \\"WhatComesNext\\" is not known');
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  expect(metrics).toContain('chef_deregistration_doubtful_events_total{source="sns"} 2');
});

const BOM = '\uFEFF';
const json = (instance: string) => JSON.stringify(terminationNotice(instance));
test.each([
  ['JSON in a JSON string', 10, (instance: string) => JSON.stringify(json(instance))],
  ['JSON after a byte order mark', 20, (instance: string) => BOM + json(instance)],
  ['Base64', 30, (instance: string) => Buffer.from(json(instance)).toString('base64')],
])(
  '%s is understood by POST /sns, in an SNS envelope in a queue, and bare in a queue',
  async (_, number, write) => {
    const [pushed, enveloped, bare] = [instanceId(number), instanceId(number + 1), instanceId(number + 2)];
    const names = [`pushed-${number}`, `enveloped-${number}`, `bare-${number}`];
    for (const [at, name] of names.entries()) {
      await registerNode(scene.world.chef, { name, instanceId: instanceId(number + at) });
    }
    const { url } = await makeQueue(`wrapped-${number}`);
    const service = await scene.serve({ ...aws.env, SQS_QUEUE_URLS: url });
    expect(await service.publish(write(pushed))).toMatchObject({ outcome: 'accepted' });
    await send(url, JSON.stringify(scene.world.publisher.envelope(write(enveloped))));
    await send(url, write(bare));
    for (const name of names)
      await expect.poll(() => scene.registered(name), { timeout: 20_000 }).toEqual(GONE);
  },
);

test('a record of an API call and other foreign events are left to the dead-letter queue, and ignored by POST /sns', async () => {
  const instance = instanceId(5);
  await registerNode(scene.world.chef, { name: 'told-by-cloudtrail', instanceId: instance });
  const { url, deadLetterUrl } = await makeQueue('foreign');
  const service = await scene.serve({ ...aws.env, SQS_QUEUE_URLS: url });
  const foreign = [
    eventBridge('aws.ec2', 'AWS API Call via CloudTrail', {
      eventSource: 'ec2.amazonaws.com',
      eventName: 'TerminateInstances',
      requestParameters: { instancesSet: { items: [{ instanceId: instance }] } },
      responseElements: {
        instancesSet: {
          items: [{ instanceId: instance, currentState: { code: 32, name: 'shutting-down' } }],
        },
      },
    }),
    eventBridge('aws.ec2', 'EC2 Instance Parked', { 'instance-id': instance }),
    { AlarmName: 'cpu', NewStateValue: 'ALARM' },
  ];
  for (const message of foreign) {
    await send(url, JSON.stringify(message));
    expect(await service.publish(message)).toMatchObject({ status: 200, outcome: 'ignored' });
  }
  await expect.poll(() => messagesIn(deadLetterUrl), { timeout: 20_000 }).toBe(foreign.length);
  expect(await scene.registered('told-by-cloudtrail')).toEqual(WHOLE);
});

test('the lifecycle action of a hook that writes into a queue is completed in the region of that queue', async () => {
  const instance = instanceId(6);
  await registerNode(scene.world.chef, { name: 'hooked-elsewhere', instanceId: instance });
  const url = `https://sqs.us-west-2.amazonaws.com/${queues.accountId}/hooks`;
  const { url: endpoint, credentials } = queues;
  const sqs = new SQSClient({ region: 'us-west-2', endpoint, credentials, useQueueUrlAsEndpoint: false });
  await sqs.send(new CreateQueueCommand({ QueueName: 'hooks' }));
  const notice = {
    LifecycleHookName: 'deregister',
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
    AutoScalingGroupName: 'web-asg',
    EC2InstanceId: instance,
  };
  await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: JSON.stringify(notice) }));
  sqs.destroy();
  const service = await scene.serve({ ...aws.env, AWS_REGION: 'eu-west-1', SQS_QUEUE_URLS: url });
  await expect.poll(() => scene.registered('hooked-elsewhere'), { timeout: 20_000 }).toEqual(GONE);
  await service.rested();
  const completed = aws.asked.filter(({ form }) => form['Action'] === 'CompleteLifecycleAction');
  expect(completed.map(({ region, form }) => [region, form['LifecycleHookName']])).toEqual([
    ['us-west-2', 'deregister'],
  ]);
});
