import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AutoScalingClient } from '../../../../src/clients/aws/autoscaling.ts';
import { describe as describeError } from '../../../../src/domain/errors.ts';
import { type AwsStandIn, queryError, startAwsStandIn } from '../../../support/clients/aws-stand-in.ts';
import { type Ec2StandIn, startEc2StandIn } from '../../../support/ec2.ts';
import { instanceId } from '../../../support/termination.ts';

const INSTANCE = { group: 'web-asg', hook: 'deregister', instanceId: 'i-0a1b2c3d4e5f60718' };
const TOKEN = '71514b9d-6a40-4b26-8523-05e7ee35fa40';
const DONE = { status: 200, body: answer('CompleteLifecycleAction') };

let api: AwsStandIn;
let client: AutoScalingClient;

beforeAll(async () => {
  api = await startAwsStandIn();
  client = new AutoScalingClient(api.options);
});

afterAll(() => {
  client?.close();
  api?.stop();
});

beforeEach(() => {
  api.asked.length = 0;
});

function answer(action: string): string {
  return `<${action}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><${action}Result/><ResponseMetadata><RequestId>x</RequestId></ResponseMetadata></${action}Response>`;
}

test('a lifecycle action is completed by its token and instance, with the result asked for', async () => {
  api.answers = [DONE];
  expect(await client.completeLifecycleAction({ ...INSTANCE, token: TOKEN }, 'ABANDON')).toBe('completed');
  expect(api.asked).toEqual([
    {
      scope: 'eu-west-1/autoscaling',
      target: undefined,
      form: {
        Action: 'CompleteLifecycleAction',
        Version: '2011-01-01',
        AutoScalingGroupName: 'web-asg',
        LifecycleHookName: 'deregister',
        InstanceId: INSTANCE.instanceId,
        LifecycleActionToken: TOKEN,
        LifecycleActionResult: 'ABANDON',
      },
    },
  ]);
});

test('without a token the action is found by its instance, in the region of its group', async () => {
  api.answers = [DONE];
  await client.completeLifecycleAction({ ...INSTANCE, region: 'ap-south-1' }, 'CONTINUE');
  expect(api.asked[0]).toMatchObject({
    scope: 'ap-south-1/autoscaling',
    form: { InstanceId: INSTANCE.instanceId, LifecycleActionResult: 'CONTINUE' },
  });
  expect(api.asked[0]?.form).not.toHaveProperty('LifecycleActionToken');
});

test.each([
  `No active Lifecycle Action found with token ${TOKEN}`,
  `No active Lifecycle Action found with instance ID ${INSTANCE.instanceId}`,
])('an action that is over is not a failure: %s', async message => {
  api.answers = [{ status: 400, body: queryError('ValidationError', message) }];
  expect(await client.completeLifecycleAction(INSTANCE, 'CONTINUE')).toBe('gone');
  expect(await client.recordHeartbeat(INSTANCE)).toBe('gone');
});

test('a heartbeat is recorded', async () => {
  api.answers = [{ status: 200, body: answer('RecordLifecycleActionHeartbeat') }];
  expect(await client.recordHeartbeat({ ...INSTANCE, token: TOKEN })).toBe('recorded');
  expect(api.asked[0]?.form).toMatchObject({
    Action: 'RecordLifecycleActionHeartbeat',
    LifecycleHookName: 'deregister',
    LifecycleActionToken: TOKEN,
  });
});

test('a call that IAM forbids names the action and the group', async () => {
  const said = 'User: arn:aws:iam::111122223333:user/x is not authorized to perform it';
  api.answers = [{ status: 403, body: queryError('AccessDenied', said) }];
  const error = await client.completeLifecycleAction(INSTANCE, 'CONTINUE').catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'permission' });
  expect(describeError(error)).toMatch(
    /autoscaling:CompleteLifecycleAction on arn:aws:autoscaling:.*\/web-asg.*not authorized/,
  );
});

test.each([
  [400, 'ValidationError', 'AutoScalingGroup name not found - null', 'rejected'],
  [403, 'InvalidClientTokenId', 'The security token included in the request is invalid.', 'credentials'],
  [403, 'SignatureDoesNotMatch', 'Signature expired', 'credentials'],
  [400, 'ExpiredToken', 'The security token included in the request is expired', 'credentials'],
  [400, 'Throttling', 'Rate exceeded', 'unavailable'],
  [500, 'ResourceContention', 'pending update', 'unavailable'],
  [503, 'ServiceUnavailable', 'later', 'unavailable'],
] as const)('%i %s is distinguished', async (status, code, message, expected) => {
  api.answers = [{ status, body: queryError(code, message) }];
  await expect(client.completeLifecycleAction(INSTANCE, 'CONTINUE')).rejects.toMatchObject({
    code: expected,
  });
});

const THROTTLED = { status: 400, body: queryError('Throttling', 'Rate exceeded') };

test('throttling is survived', async () => {
  api.answers = [THROTTLED, DONE];
  const instance = { ...INSTANCE, token: TOKEN };
  expect(await client.completeLifecycleAction(instance, 'CONTINUE')).toBe('completed');
  expect(api.asked).toHaveLength(2);
});

test('without a token a request is sent once, because another action may be meant when it is sent again', async () => {
  api.answers = [THROTTLED, DONE];
  await expect(client.completeLifecycleAction(INSTANCE, 'CONTINUE')).rejects.toMatchObject({
    code: 'unavailable',
  });
  expect(api.asked).toHaveLength(1);
});

describe('the lifecycle state of an instance', () => {
  let standIn: Ec2StandIn;
  let asking: AutoScalingClient;

  beforeEach(async () => {
    standIn = await startEc2StandIn();
    asking = new AutoScalingClient({ ...standIn.options, pauseMs: 0 });
  });

  afterEach(() => {
    asking?.close();
    standIn?.stop();
  });

  test('is reported with its group, and is not there for an instance that Auto Scaling does not know', async () => {
    standIn.groups.set(instanceId(1), { group: 'web', state: 'Terminating:Wait' });
    expect(await Promise.all([1, 2].map(number => asking.instanceState(instanceId(number))))).toEqual([
      { state: 'Terminating:Wait', group: 'web' },
      { state: undefined, group: undefined },
    ]);
  });

  test('is asked for together with those of at most fifty instances, page by page', async () => {
    standIn.pageSize = 20;
    const ids = Array.from({ length: 120 }, (_, at) => instanceId(at));
    for (const id of ids) standIn.groups.set(id, { group: 'web', state: 'InService' });
    const answers = await Promise.all([...ids, ...ids].map(id => asking.instanceState(id)));
    expect(new Set(answers.map(({ state }) => state))).toEqual(new Set(['InService']));
    expect(standIn.askedElse).toHaveLength(3 + 3 + 1);
  });

  test('is asked for in the region that is named', async () => {
    standIn.groups.set(instanceId(1), { group: 'web', state: 'InService' });
    standIn.onlyIn.set(instanceId(1), 'ap-south-1');
    expect((await asking.instanceState(instanceId(1), 'ap-south-1')).state).toBe('InService');
    expect((await asking.instanceState(instanceId(1))).state).toBeUndefined();
    expect(standIn.askedElse.map(({ region }) => region)).toEqual(['ap-south-1', 'eu-west-1']);
  });

  test('is asked for again if Auto Scaling throttles', async () => {
    standIn.groups.set(instanceId(1), { group: 'web', state: 'InService' });
    standIn.refuseNext('Throttling', 'Rate exceeded');
    expect((await asking.instanceState(instanceId(1))).state).toBe('InService');
  });

  test.each([
    ['no text', '', 'no list'],
    ['a page of a proxy', '<html><body>Please log in</body></html>', 'no list'],
    ['an instance without state', memberXml(`<InstanceId>${instanceId(1)}</InstanceId>`), 'no state'],
    ['an instance without id', memberXml('<LifecycleState>InService</LifecycleState>'), 'no id'],
  ])('is an error if the answer is not whole: %s', async (_, answer, why) => {
    standIn.answerNext(answer);
    const error = await asking.instanceState(instanceId(1)).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'unavailable' });
    expect(describeError(error)).toContain(why);
  });

  test('is an error that names the missing permission', async () => {
    standIn.refuseNext('AccessDenied', 'User is not authorized to perform it', 403);
    const error = await asking.instanceState(instanceId(1)).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'permission' });
    expect(describeError(error)).toContain('autoscaling:DescribeAutoScalingInstances');
  });
});

function memberXml(content: string): string {
  return `<DescribeAutoScalingInstancesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><DescribeAutoScalingInstancesResult><AutoScalingInstances><member>${content}</member></AutoScalingInstances></DescribeAutoScalingInstancesResult></DescribeAutoScalingInstancesResponse>`;
}
