import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { AutoScalingClient } from '../../src/clients/autoscaling.ts';
import { describe as describeError } from '../../src/errors.ts';
import { type AwsStandIn, queryError, startAwsStandIn } from './aws-stand-in.ts';

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
])('an action that is over is no failure: %s', async message => {
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
] as const)('%i %s is told apart', async (status, code, message, expected) => {
  api.answers = [{ status, body: queryError(code, message) }];
  await expect(client.completeLifecycleAction(INSTANCE, 'CONTINUE')).rejects.toMatchObject({
    code: expected,
  });
});

test('throttling is survived', async () => {
  api.answers = [{ status: 400, body: queryError('Throttling', 'Rate exceeded') }, DONE];
  expect(await client.completeLifecycleAction(INSTANCE, 'CONTINUE')).toBe('completed');
  expect(api.asked).toHaveLength(2);
});
