import { globSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/domain/errors.ts';
import type { Event } from '../../../src/domain/event.ts';
import { isInstanceId, isNagiosHostName, isNodeName } from '../../../src/domain/identifiers.ts';
import { parseEvent } from '../../../src/domain/parse-event.ts';
import { decide } from '../../../src/domain/policy.ts';
import {
  autoScaling,
  INSTANCE,
  type JsonObject,
  lifecycleHook,
  registration,
  sample,
} from '../../fixtures/samples.ts';

describe('what is read from each form', () => {
  test('a host’s registration', () => {
    expect(parseEvent(sample('original/registration-deregister-with-instance-id'))).toEqual({
      kind: 'registration',
      method: 'delete',
      node: 'web-1.example.com',
      nagiosHost: 'web-1.example.com',
      instanceId: INSTANCE,
    });
    expect(parseEvent(registration({ instance_id: null, nagios_name: '' }))).toEqual({
      kind: 'registration',
      method: 'delete',
      node: 'web-1.example.com',
    });
  });

  test('an Auto Scaling notification', () => {
    expect(parseEvent(sample('events/asg-notification-terminate'))).toEqual({
      kind: 'instance-ended',
      notice: 'autoscaling:EC2_INSTANCE_TERMINATE',
      instanceId: INSTANCE,
    });
  });

  test('a lifecycle hook, with what completes it', () => {
    const lifecycle = { group: 'web-asg', hook: 'chef-deregister' };
    expect(parseEvent(sample('events/asg-lifecycle-hook-terminating'))).toMatchObject({
      kind: 'instance-ended',
      instanceId: INSTANCE,
      lifecycle: { ...lifecycle, token: 'b00e17f7-027e-59c3-912f-7469ee6fa56f' },
    });
    expect(parseEvent(sample('events/eb-asg-terminate-lifecycle-action'))).toMatchObject({
      kind: 'instance-ended',
      instanceId: INSTANCE,
      lifecycle: { ...lifecycle, token: 'c7b97783-4408-5233-b6e3-2b1f1f8bbd27', region: 'eu-west-1' },
    });
  });

  test('a harmless notice still tells the instance', () => {
    expect(parseEvent(sample('events/eb-ec2-state-change-stopped'))).toEqual({
      kind: 'harmless',
      notice: 'EC2 Instance State-change Notification (stopped)',
      instanceId: INSTANCE,
    });
  });
});

describe('the same event in every wrapping is the same event', () => {
  const bare = sample('events/asg-notification-terminate');
  test('inside an SNS delivery', () => {
    const { body } = sample('sns-https/asg-notification-terminate') as { body: { Message: string } };
    expect(parseEvent(JSON.parse(body.Message))).toEqual(parseEvent(bare));
  });
  test('inside an SNS envelope in SQS', () => {
    const { Body } = sample('sns-sqs/asg-notification-terminate') as { Body: string };
    expect(parseEvent(JSON.parse(JSON.parse(Body).Message))).toEqual(parseEvent(bare));
  });
  test('bare in SQS', () => {
    const { Body } = sample('sqs/eb-ec2-state-change-terminated') as { Body: string };
    expect(parseEvent(JSON.parse(Body))).toEqual(parseEvent(sample('events/eb-ec2-state-change-terminated')));
  });
});

describe('one of ours that cannot be acted upon is refused by its field', () => {
  test.each([
    ['method', registration({ method: 'destroy' })],
    ['method', registration({ method: 'constructor' })],
    ['method', registration({ method: ['delete'] })],
    ['method', registration({ method: undefined })],
    ['chef_name', registration({ chef_name: '..' })],
    ['chef_name', registration({ chef_name: 'a/../b' })],
    ['chef_name', registration({ chef_name: undefined })],
    ['EC2InstanceId', autoScaling('EC2_INSTANCE_TERMINATE', { EC2InstanceId: 'i-0A1B2C3D' })],
    ['EC2InstanceId', autoScaling('EC2_INSTANCE_TERMINATE', { EC2InstanceId: undefined })],
    ['AutoScalingGroupName', lifecycleHook({ AutoScalingGroupName: '' })],
    ['LifecycleHookName', lifecycleHook({ LifecycleHookName: undefined })],
  ])('%s', (field, message) => {
    expect(() => parseEvent(message)).toThrow(expect.objectContaining({ code: 'invalid', field }));
  });

  test('the message says what was given, cut short', () => {
    expect(() => parseEvent(registration({ chef_name: `a/${'b'.repeat(500)}` }))).toThrow(
      /^chef_name is "a\/b{77}, which is not the name of a Chef node$/,
    );
  });
});

describe('an optional field of a host’s message', () => {
  test('that is malformed costs that field and not the message, which says so', () => {
    const malformed = [
      'a;b',
      'a,b',
      'a`b`',
      'a$(b)',
      'a\tb',
      'a\nb',
      'x'.repeat(256),
      7,
      ['web'],
      { toString: 1 },
    ];
    for (const nagios_name of malformed) {
      const event = parseEvent(registration({ nagios_name }));
      expect(event, JSON.stringify(nagios_name)).toMatchObject({
        method: 'delete',
        node: 'web-1.example.com',
        instanceId: INSTANCE,
        dropped: ['nagios_name'],
      });
      expect(event).not.toHaveProperty('nagiosHost');
    }
    for (const instance_id of ['i-1', 'I-0A1B2C3D', 'unknown', 7, [INSTANCE], { instance: INSTANCE }]) {
      const event = parseEvent(registration({ instance_id }));
      expect(event, JSON.stringify(instance_id)).toMatchObject({ dropped: ['instance_id'] });
      expect(event).not.toHaveProperty('instanceId');
    }
    expect(parseEvent(registration({ nagios_name: ';', instance_id: ';' }))).toMatchObject({
      dropped: ['nagios_name', 'instance_id'],
    });
  });

  test('is read without the blanks around it', () => {
    const padded = registration({ nagios_name: ' Web Server 1 ', instance_id: `${INSTANCE}\n` });
    const event = parseEvent(padded);
    expect(event).toMatchObject({ nagiosHost: 'Web Server 1', instanceId: INSTANCE });
    expect(event).not.toHaveProperty('dropped');
  });

  test('costs no more than itself, whatever it holds', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (nagios_name, instance_id) => {
        const { nagiosHost, instanceId, dropped, ...rest } = parseEvent(
          registration({ nagios_name, instance_id }),
        ) as Extract<Event, { kind: 'registration' }>;
        expect(rest).toEqual({ kind: 'registration', method: 'delete', node: 'web-1.example.com' });
        if (nagiosHost !== undefined) expect(isNagiosHostName(nagiosHost)).toBe(true);
        if (instanceId !== undefined) expect(isInstanceId(instanceId)).toBe(true);
      }),
    );
  });
});

const samples = globSync('{events,original}/*.json', {
  cwd: join(import.meta.dirname, '../../fixtures'),
}).map(file => sample(file.replace('.json', '')));
const harmless = samples.filter(message => decide(parse(message) as Event) === 'ignore');

/** Values that other fields of AWS have, and that mislead a bad parser. */
const values = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(
    { toString: 1 },
    'terminated',
    'shutting-down',
    'terminate',
    'EC2',
    'WarmPool',
    'InProgress',
    'constructor',
    INSTANCE,
    [INSTANCE],
    'autoscaling:EC2_INSTANCE_TERMINATE',
    'autoscaling:EC2_INSTANCE_TERMINATING',
    'EC2 Instance Terminate Successful',
  ),
);
const names = fc.constantFrom(
  ...new Set(samples.flatMap(message => [...Object.keys(message), ...Object.keys(detailOf(message))])),
);

/** A message with fields dropped, replaced, added and reordered, at its top and in its detail. */
const mutated = (from: JsonObject[]) =>
  fc
    .tuple(
      fc.constantFrom(...from),
      fc.dictionary(names, fc.option(values, { nil: undefined }), { maxKeys: 4 }),
      fc.dictionary(names, fc.option(values, { nil: undefined }), { maxKeys: 4 }),
      fc.boolean(),
    )
    .map(([message, top, inside, reversed]) => {
      const merged: JsonObject = { ...message, ...top };
      if (isObject(merged['detail'])) merged['detail'] = { ...merged['detail'], ...inside };
      const entries = Object.entries(merged);
      return JSON.parse(JSON.stringify(Object.fromEntries(reversed ? entries.reverse() : entries)));
    });

describe('whatever comes', () => {
  test('JSON of any kind is an event, nothing, or refused with its field', () => {
    fc.assert(fc.property(fc.oneof(fc.jsonValue(), mutated(samples)), checkWellFormed), { numRuns: 5_000 });
  });

  test('a harmless notice with anything changed ends no instance, unless it then says so or is uncertain', () => {
    fc.assert(
      fc.property(mutated(harmless), message => {
        const event = parse(message);
        if (event?.kind === 'instance-ended' && !event.doubt) expect(saysEnd(message)).toBe(true);
      }),
      { numRuns: 10_000 },
    );
  });
});

/** By the contract's table, and written apart from the parser. */
function saysEnd(message: JsonObject): boolean {
  const detail = detailOf(message);
  const from = `${message['source']}/${message['detail-type']}`;
  const leaves = (it: JsonObject) =>
    (it['Destination'] || 'EC2') === 'EC2' && !['Failed', 'Cancelled'].includes(`${it['StatusCode']}`);
  if (from === 'aws.ec2/EC2 Instance State-change Notification') {
    return detail['state'] === 'terminated' || detail['state'] === 'shutting-down';
  }
  if (from === 'aws.autoscaling/EC2 Instance Terminate Successful') return leaves(detail);
  if (from === 'aws.autoscaling/EC2 Instance-terminate Lifecycle Action') {
    return detail['LifecycleTransition'] === 'autoscaling:EC2_INSTANCE_TERMINATING' && leaves(detail);
  }
  const { Event, Description, LifecycleTransition } = message;
  if (Event === 'autoscaling:EC2_INSTANCE_TERMINATE') {
    return leaves(message) && (!Description || `${Description}`.startsWith('Terminating'));
  }
  return LifecycleTransition === 'autoscaling:EC2_INSTANCE_TERMINATING' && leaves(message);
}

function checkWellFormed(message: unknown): void {
  const event = parse(message);
  if (!event) return;
  const action = decide(event);
  expect(['delete', 'ensure', 'downtime', 'ignore']).toContain(action);
  if ('node' in event) expect(isNodeName(event.node)).toBe(true);
  if ('instanceId' in event) expect(isInstanceId(event.instanceId)).toBe(true);
  if (event.kind === 'instance-ended' || event.kind === 'instance-ending') {
    expect(isInstanceId(event.instanceId)).toBe(true);
  }
}

/** What the parser makes of it; nothing where it refuses it as it should. */
function parse(message: unknown): Event | undefined {
  try {
    return parseEvent(message);
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid' && error.field) return undefined;
    throw error;
  }
}

function detailOf(message: JsonObject): JsonObject {
  return isObject(message['detail']) ? message['detail'] : {};
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
