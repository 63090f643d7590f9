import { ScalingActivityStatusCode } from '@aws-sdk/client-auto-scaling';
import { InstanceInterruptionBehavior, InstanceStateName } from '@aws-sdk/client-ec2';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEvent } from '../../../src/domain/parse-event.ts';
import {
  autoScaling,
  eventBridge,
  INSTANCE,
  type JsonObject,
  lifecycleHook,
  sample,
} from '../../fixtures/samples.ts';

const terminated = (changes: JsonObject) => autoScaling('EC2_INSTANCE_TERMINATE', changes);
const successful = (changes: JsonObject) =>
  eventBridge('aws.autoscaling', 'EC2 Instance Terminate Successful', {
    ...(sample('events/eb-asg-terminate-successful')['detail'] as JsonObject),
    ...changes,
  });
const hookByEventBridge = (changes: JsonObject) =>
  eventBridge('aws.autoscaling', 'EC2 Instance-terminate Lifecycle Action', {
    ...(sample('events/eb-asg-terminate-lifecycle-action')['detail'] as JsonObject),
    ...changes,
  });
const stateChange = (detail: JsonObject) =>
  eventBridge('aws.ec2', 'EC2 Instance State-change Notification', { 'instance-id': INSTANCE, ...detail });
const interruption = (detail: JsonObject) =>
  eventBridge('aws.ec2', 'EC2 Spot Instance Interruption Warning', { 'instance-id': INSTANCE, ...detail });

/** Kind and doubt; a field that is undefined is left out, as in JSON. */
function read(message: JsonObject): [kind: string | undefined, doubt?: string] {
  const event = parseEvent(JSON.parse(JSON.stringify(message)));
  return event && 'doubt' in event && event.doubt ? [event.kind, event.doubt] : [event?.kind];
}

describe('of the status codes of Auto Scaling, only Failed and Cancelled deny a termination', () => {
  test.each([
    ...[...Object.values(ScalingActivityStatusCode), 'MidTerminatingLifecycleAction', undefined, null, ''],
  ])('%s', StatusCode => {
    const kind = StatusCode === 'Failed' || StatusCode === 'Cancelled' ? 'harmless' : 'instance-ended';
    expect(read(terminated({ StatusCode }))).toEqual([kind]);
    expect(read(successful({ StatusCode }))).toEqual([kind]);
  });
});

test.each(Object.values(InstanceStateName))('the meaning of EC2 state %s is known', state => {
  const kind = state === 'shutting-down' || state === 'terminated' ? 'instance-ended' : 'harmless';
  expect(read(stateChange({ state }))).toEqual([kind]);
});

test.each(Object.values(InstanceInterruptionBehavior))('the meaning of Spot action %s is known', action => {
  const kind = action === 'terminate' ? 'instance-ending' : 'harmless';
  expect(read(interruption({ 'instance-action': action }))).toEqual([kind]);
});

test.each([
  ['EC2', 'instance-ended'],
  ['WarmPool', 'harmless'],
  ['AutoScalingGroup', 'harmless'],
  [undefined, 'instance-ended'],
])('an instance that goes to %s: %s', (Destination, kind) => {
  for (const message of [terminated, successful, lifecycleHook, hookByEventBridge]) {
    expect(read(message({ Destination }))).toEqual([kind]);
  }
});

test.each(['AutoScalingGroup', 'WarmPool', 'EC2', 'what comes next', undefined])(
  'where an instance comes from (%s) says nothing about its end',
  Origin => {
    for (const message of [terminated, successful, lifecycleHook, hookByEventBridge]) {
      expect(read(message({ Origin }))).toEqual(['instance-ended']);
    }
  },
);

test.each([
  [`Terminating EC2 instance: ${INSTANCE}`, 'instance-ended'],
  [`Terminating EC2 instance: ${INSTANCE} - Waiting for ELB Connection Draining.`, 'instance-ended'],
  [`Terminating EC2 instance from warm pool: ${INSTANCE}`, 'instance-ended'],
  [`Detaching EC2 instance: ${INSTANCE}`, 'harmless'],
  [`Attaching an existing EC2 instance: ${INSTANCE}`, 'harmless'],
  [`Moving EC2 instance to Standby: ${INSTANCE}`, 'harmless'],
  [`Moving EC2 instance out of Standby: ${INSTANCE}`, 'harmless'],
  [`Launching a new EC2 instance into warm pool: ${INSTANCE}`, 'harmless'],
  [undefined, 'instance-ended'],
])('description %s: %s', (Description, kind) => {
  expect(read(terminated({ Description }))).toEqual([kind]);
  expect(read(successful({ Description }))).toEqual([kind]);
});

describe('a value that AWS does not document is uncertain, and never harmless', () => {
  test.each([
    ['StatusCode "Paused" is not known', terminated({ StatusCode: 'Paused' })],
    ['StatusCode 7 is not known', successful({ StatusCode: 7 })],
    ['Destination "Reserve" is not known', terminated({ Destination: 'Reserve' })],
    ['Destination "Reserve" is not known', lifecycleHook({ Destination: 'Reserve' })],
    ['Description "Parking it" is not known', successful({ Description: 'Parking it' })],
    ['Event "autoscaling:EC2_INSTANCE_PARK" is not known', autoScaling('EC2_INSTANCE_PARK')],
    [
      'LifecycleTransition "autoscaling:EC2_INSTANCE_PARKING" is not known',
      lifecycleHook({ LifecycleTransition: 'autoscaling:EC2_INSTANCE_PARKING' }),
    ],
    ['LifecycleTransition is missing', hookByEventBridge({ LifecycleTransition: undefined })],
    ['state "parked" is not known', stateChange({ state: 'parked' })],
    ['state is missing', stateChange({})],
    [
      'StatusCode "Paused" is not known; Destination "Reserve" is not known',
      terminated({ StatusCode: 'Paused', Destination: 'Reserve' }),
    ],
  ])('%s', (doubt, message) => expect(read(message)).toEqual(['instance-ended', doubt]));

  test('of a Spot interruption too', () => {
    expect(read(interruption({ 'instance-action': 'park' }))).toEqual([
      'instance-ending',
      'instance-action "park" is not known',
    ]);
  });

  const field = fc.constantFrom(
    ...(['StatusCode', 'Destination', 'Description'] as const).flatMap(name => [
      { name, make: (value: unknown) => terminated({ [name]: value }) },
      { name, make: (value: unknown) => successful({ [name]: value }) },
    ]),
    { name: 'Destination', make: (Destination: unknown) => lifecycleHook({ Destination }) },
    {
      name: 'LifecycleTransition',
      make: (value: unknown) => hookByEventBridge({ LifecycleTransition: value }),
    },
    { name: 'state', make: (state: unknown) => stateChange({ state }) },
  );
  const unknown = fc
    .jsonValue()
    .filter(value => value !== null && value !== '')
    .map(value => (typeof value === 'string' ? `what comes next ${value}` : value));

  test('whatever the field and the value', () => {
    fc.assert(
      fc.property(field, unknown, ({ name, make }, value) => {
        const [kind, doubt] = read(make(value));
        expect([kind, doubt?.startsWith(name)]).toEqual(['instance-ended', true]);
      }),
    );
  });

  test('unless the notice names no instance: then it is none of ours', () => {
    expect(read(autoScaling('GROUP_PARKED', { EC2InstanceId: undefined }))).toEqual([undefined]);
    expect(read(stateChange({ 'instance-id': undefined, state: 'parked' }))).toEqual([undefined]);
  });

  test('unless another field says that the instance lives', () => {
    expect(read(terminated({ StatusCode: 'Paused', Destination: 'WarmPool' }))).toEqual(['harmless']);
  });
});

describe('events of EventBridge that are not in AWS’s lists are none of ours', () => {
  test.each([
    ['aws.ec2', 'AWS API Call via CloudTrail'],
    ['aws.autoscaling', 'AWS API Call via CloudTrail'],
    ['aws.ec2', 'EC2 Capacity Reservation Instance Interruption Warning'],
    ['aws.ec2', 'EC2 Instance Parked'],
    ['aws.autoscaling', 'EC2 Instance Parked'],
    ['aws.health', 'AWS API Call via CloudTrail'],
    ['aws.ec2', 'AWS Health Event'],
    ['com.example', 'EC2 Instance Rebalance Recommendation'],
    ['aws.ec2fleet', 'EC2 Fleet Instance Change'],
  ])('%s: %s', (source, detailType) => {
    expect(read(eventBridge(source, detailType, { 'instance-id': INSTANCE }))).toEqual([undefined]);
  });

  test.each([
    ['aws.ec2', 'EC2 Spot Instance Request Fulfillment'],
    ['aws.ec2', 'EBS Volume Notification'],
    ['aws.autoscaling', 'EC2 Auto Scaling Instance Refresh Rollback Started'],
    ['aws.health', 'AWS Health Abuse Event'],
  ])('%s: %s is harmless', (source, detailType) => {
    expect(read(eventBridge(source, detailType, {}))).toEqual(['harmless']);
  });
});

describe('a lifecycle action keeps all that completes it', () => {
  const arrival = { region: 'us-west-2' };
  const expected = { group: 'web-asg', hook: 'chef-deregister', account: '111122223333' };

  test('the hook’s own message has the region where it arrived', () => {
    expect(parseEvent(sample('events/asg-lifecycle-hook-terminating'), arrival)).toMatchObject({
      lifecycle: { ...expected, region: 'us-west-2' },
    });
  });

  test('an event of EventBridge has its own region, if that is one', () => {
    const event = sample('events/eb-asg-terminate-lifecycle-action');
    expect(parseEvent(event, arrival)).toMatchObject({ lifecycle: { ...expected, region: 'eu-west-1' } });
    expect(parseEvent({ ...event, region: 'moon/1' }, arrival)).toMatchObject({
      lifecycle: { region: 'us-west-2' },
    });
  });

  test('what is not an account, region or token is left out', () => {
    const message = lifecycleHook({ AccountId: '12', LifecycleActionToken: '' });
    const event = parseEvent(message);
    expect(event).toMatchObject({ kind: 'instance-ended' });
    expect(event && 'lifecycle' in event && event.lifecycle).toEqual({
      group: 'web-asg',
      hook: 'chef-deregister',
    });
  });
});
