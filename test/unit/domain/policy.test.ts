import { describe, expect, test } from 'vitest';
import type { Event } from '../../../src/domain/event.ts';
import { parseEvent } from '../../../src/domain/parse-event.ts';
import { decide } from '../../../src/domain/policy.ts';
import {
  autoScaling,
  eventBridge,
  INSTANCE,
  lifecycleHook,
  registration,
  sample,
} from '../../fixtures/samples.ts';

const stateChange = (state: string) =>
  eventBridge('aws.ec2', 'EC2 Instance State-change Notification', { 'instance-id': INSTANCE, state });
const spot = (action: string) =>
  eventBridge('aws.ec2', 'EC2 Spot Instance Interruption Warning', {
    'instance-id': INSTANCE,
    'instance-action': action,
  });
const scaled = (detailType: string, changes: Record<string, unknown> = {}) =>
  eventBridge('aws.autoscaling', detailType, {
    ...(sample('events/eb-asg-terminate-successful')['detail'] as object),
    ...changes,
  });
const hooked = (transition: string, changes: Record<string, unknown> = {}) =>
  eventBridge('aws.autoscaling', 'EC2 Instance-terminate Lifecycle Action', {
    ...(sample('events/eb-asg-terminate-lifecycle-action')['detail'] as object),
    LifecycleTransition: transition,
    ...changes,
  });

describe('a confirmed end of an instance, or a host’s own word, deletes', () => {
  test.each([
    ['a host that deregisters', sample('original/registration-deregister-with-instance-id')],
    ['a host that knows no instance id', sample('original/registration-deregister-without-instance-id')],
    ['a host whose instance id is null', registration({ instance_id: null })],
    ['a host whose instance id is empty', registration({ instance_id: '' })],
    ['a host that says delete', registration({ method: 'delete' })],
    ['a host without a name in Nagios', registration({ nagios_name: undefined })],
    ['Auto Scaling terminated', sample('events/asg-notification-terminate')],
    [
      'Auto Scaling terminated out of the warm pool',
      autoScaling('EC2_INSTANCE_TERMINATE', {
        Description: `Terminating EC2 instance from warm pool: ${INSTANCE}`,
        Origin: 'WarmPool',
        Destination: 'EC2',
      }),
    ],
    ['a terminating lifecycle hook', sample('events/asg-lifecycle-hook-terminating')],
    ['a lifecycle hook from before warm pools', lifecycleHook({ Origin: undefined, Destination: undefined })],
    ['a terminating lifecycle hook by EventBridge', sample('events/eb-asg-terminate-lifecycle-action')],
    ['EC2 state shutting-down', sample('events/eb-ec2-state-change-shutting-down')],
    ['EC2 state terminated', sample('events/eb-ec2-state-change-terminated')],
    ['EventBridge: Terminate Successful', sample('events/eb-asg-terminate-successful')],
    [
      'EventBridge: Terminate Successful, before warm pools',
      scaled('EC2 Instance Terminate Successful', { Origin: undefined, Destination: undefined }),
    ],
  ])('%s', (_, message) => expect(action(message)).toBe('delete'));
});

test('a host that must be there is ensured', () =>
  expect(action(sample('original/registration-ensure-readme-only'))).toBe('ensure'));

test('a Spot interruption that terminates gives downtime only', () =>
  expect(action(sample('events/eb-ec2-spot-interruption-terminate'))).toBe('downtime'));

describe('whatever says that the instance lives, may come back or was never there is ignored', () => {
  test.each([
    ['launch', sample('events/asg-notification-launch')],
    ['launch error', autoScaling('EC2_INSTANCE_LAUNCH_ERROR', { StatusCode: 'Failed' })],
    ['terminate error', autoScaling('EC2_INSTANCE_TERMINATE_ERROR', { StatusCode: 'Failed' })],
    ['a termination that failed', autoScaling('EC2_INSTANCE_TERMINATE', { StatusCode: 'Failed' })],
    ['a termination that was cancelled', autoScaling('EC2_INSTANCE_TERMINATE', { StatusCode: 'Cancelled' })],
    ['test', sample('events/asg-notification-test')],
    ['a test of a lifecycle hook', { ...sample('events/asg-notification-test'), LifecycleHookName: 'h' }],
    ['return to the warm pool', autoScaling('EC2_INSTANCE_TERMINATE', { Destination: 'WarmPool' })],
    ['detach', autoScaling('EC2_INSTANCE_TERMINATE', { Description: `Detaching EC2 instance: ${INSTANCE}` })],
    [
      'move to standby',
      autoScaling('EC2_INSTANCE_TERMINATE', { Description: `Moving EC2 instance to Standby: ${INSTANCE}` }),
    ],
    [
      'launching lifecycle hook',
      lifecycleHook({ LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING' }),
    ],
    ['lifecycle hook into the warm pool', lifecycleHook({ Destination: 'WarmPool' })],
    ['launching lifecycle hook by EventBridge', hooked('autoscaling:EC2_INSTANCE_LAUNCHING')],
    [
      'lifecycle hook into the warm pool by EventBridge',
      hooked('autoscaling:EC2_INSTANCE_TERMINATING', { Destination: 'WarmPool' }),
    ],
    ['EC2 state pending', stateChange('pending')],
    ['EC2 state running', stateChange('running')],
    ['EC2 state stopping', stateChange('stopping')],
    ['EC2 state stopped', sample('events/eb-ec2-state-change-stopped')],
    ['Spot interruption that stops', spot('stop')],
    ['Spot interruption that hibernates', spot('hibernate')],
    ['rebalance recommendation', sample('events/eb-ec2-rebalance-recommendation')],
    ['scheduled retirement', sample('events/eb-health-instance-retirement-scheduled-arn-entity')],
    ['EventBridge: Launch Successful', scaled('EC2 Instance Launch Successful')],
    ['EventBridge: Launch Unsuccessful', scaled('EC2 Instance Launch Unsuccessful')],
    ['EventBridge: Terminate Unsuccessful', scaled('EC2 Instance Terminate Unsuccessful')],
    ['EventBridge: Detach Successful', scaled('EC2 Instance Detach Successful')],
    [
      'EventBridge: Terminate Successful into the warm pool',
      scaled('EC2 Instance Terminate Successful', { Destination: 'WarmPool' }),
    ],
    [
      'EventBridge: Terminate Successful that detached',
      scaled('EC2 Instance Terminate Successful', { Description: `Detaching EC2 instance: ${INSTANCE}` }),
    ],
    ['instance refresh', scaled('EC2 Auto Scaling Instance Refresh Succeeded')],
  ])('%s', (_, message) => expect(action(message)).toBe('ignore'));
});

test('what is not ours is nothing at all', () => {
  const others = [
    null,
    7,
    'text',
    [],
    {},
    { type: 'deployment' },
    { Event: 'lambda:INVOKE' },
    { LifecycleTransition: 'other:EC2_INSTANCE_TERMINATING', EC2InstanceId: INSTANCE },
    eventBridge('com.example', 'EC2 Instance State-change Notification', { state: 'terminated' }),
    eventBridge('aws.s3', 'Object Created', {}),
    { AlarmName: 'cpu', NewStateValue: 'ALARM' },
  ];
  for (const message of others) expect(parseEvent(message), JSON.stringify(message)).toBeUndefined();
});

function action(message: unknown): string {
  // undefined in a sample means that the field is not there.
  const event = parseEvent(JSON.parse(JSON.stringify(message)));
  if (!event) throw new Error('not understood');
  return decide(event as Event);
}
