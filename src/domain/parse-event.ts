import { FORMS, isHarmless, judge } from './aws-notices.ts';
import { AppError } from './errors.ts';
import type { Event, LifecycleAction } from './event.ts';
import { readHostSignature } from './host-signature.ts';
import { isInstanceId, isNagiosHostName, isNodeName } from './identifiers.ts';
import { isObject, type JsonObject } from './json.ts';
import { isRegion } from './queue-url.ts';

/** Where a message arrived. */
export interface MessageOrigin {
  /** AWS region of the topic or queue; a lifecycle hook's own message does not name it. */
  region?: string | undefined;
}

/**
 * Reads one message, in any of the forms AWS and hosts send (the table of events is in the README).
 * @returns undefined for what is well-formed but none of ours
 * @throws AppError `invalid`, with the field, for one of ours that cannot be acted upon
 */
export function parseEvent(message: unknown, origin: MessageOrigin = {}): Event | undefined {
  if (!isObject(message)) return undefined;
  if (message['type'] === 'registration') return registration(message);
  const { 'detail-type': detailType, Event: notice, LifecycleTransition: transition } = message;
  if (typeof detailType === 'string') return fromEventBridge(message, detailType, origin);
  if (typeof notice === 'string') return fromAutoScaling(message, notice);
  if (typeof transition === 'string') return fromLifecycleHook(message, transition, origin);
  return undefined;
}

const METHODS = new Map<unknown, 'delete' | 'ensure'>([
  ['delete', 'delete'],
  ['deregister', 'delete'],
  ['ensure', 'ensure'],
]);

/** @see the predecessor's `chef-registration`, whose `deregister` is our `delete` */
function registration(message: JsonObject): Event {
  const method = METHODS.get(message['method']);
  if (!method) throw invalid('method', message['method'], 'delete, deregister or ensure');
  const node = message['chef_name'];
  if (!isNodeName(node)) throw invalid('chef_name', node, 'the name of a Chef node');
  const dropped: string[] = [];
  const nagiosHost = optional(message, 'nagios_name', isNagiosHostName, dropped);
  const instanceId = optional(message, 'instance_id', isInstanceId, dropped);
  // A host signs the fields as it sent them, malformed or not.
  const signature = readHostSignature(message);
  return {
    kind: 'registration',
    method,
    node,
    ...(nagiosHost && { nagiosHost }),
    ...(instanceId && { instanceId }),
    ...(signature && { signature }),
    ...(dropped.length > 0 && { dropped }),
  };
}

/** @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-sns-notifications.html */
function fromAutoScaling(message: JsonObject, notice: string): Event | undefined {
  if (!notice.startsWith('autoscaling:')) return undefined;
  return ended(notice, message, { id: 'EC2InstanceId', form: FORMS.notification });
}

/** @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/prepare-for-lifecycle-notifications.html */
function fromLifecycleHook(message: JsonObject, notice: string, origin: MessageOrigin): Event | undefined {
  if (!notice.startsWith('autoscaling:')) return undefined;
  const event = ended(notice, message, { id: 'EC2InstanceId', form: FORMS.lifecycle });
  return withLifecycle(event, message, { ...origin, account: message['AccountId'] });
}

/**
 * @see https://docs.aws.amazon.com/ec2/latest/userguide/monitoring-instance-state-changes.html
 * @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
 * @see https://docs.aws.amazon.com/ec2/latest/userguide/spot-instance-termination-notices.html
 */
function fromEventBridge(message: JsonObject, notice: string, { region }: MessageOrigin): Event | undefined {
  const source = word(message['source']);
  const detail = isObject(message['detail']) ? message['detail'] : {};
  const id = detail['instance-id'] ?? detail['EC2InstanceId'];
  switch (`${source} ${notice}`) {
    case 'aws.ec2 EC2 Instance State-change Notification':
      return ended(notice, detail, { id: 'instance-id', form: FORMS.stateChange, tell: ['state'] });
    case 'aws.ec2 EC2 Spot Instance Interruption Warning':
      return ending(notice, detail);
    case 'aws.autoscaling EC2 Instance Terminate Successful':
      return ended(notice, detail, {
        ...{ id: 'EC2InstanceId', form: FORMS.activity },
        tell: ['Description', 'Destination'],
      });
    case 'aws.autoscaling EC2 Instance-terminate Lifecycle Action': {
      const event = ended(notice, detail, {
        ...{ id: 'EC2InstanceId', form: FORMS.lifecycle },
        tell: ['LifecycleTransition', 'Destination'],
      });
      const own = word(message['region']);
      return withLifecycle(event, detail, {
        region: isRegion(own) ? own : region,
        account: message['account'],
      });
    }
  }
  return isHarmless(source, notice) ? harmless(notice, id) : undefined;
}

interface Reading {
  /** Field of the instance id. */
  id: string;
  form: Parameters<typeof judge>[1];
  /** Fields to name if the instance lives. */
  tell?: string[];
}

/** @returns undefined for a notice that is uncertain and names no instance */
function ended(notice: string, fields: JsonObject, { id, form, tell = [] }: Reading): Event | undefined {
  const verdict = judge(fields, form);
  if (verdict.lives) {
    const told = tell.flatMap(name => (typeof fields[name] === 'string' ? [fields[name]] : []));
    return harmless(told.length > 0 ? `${notice} (${told.join(', ')})` : notice, fields[id]);
  }
  const { doubt } = verdict;
  if (doubt && !isInstanceId(fields[id])) return undefined;
  return { kind: 'instance-ended', notice, instanceId: instanceId(fields, id), ...(doubt && { doubt }) };
}

function ending(notice: string, detail: JsonObject): Event | undefined {
  const event = ended(notice, detail, {
    ...{ id: 'instance-id', form: FORMS.interruption },
    tell: ['instance-action'],
  });
  return event?.kind === 'instance-ended' ? { ...event, kind: 'instance-ending' } : event;
}

/** @param from the region, and the account as the message names it */
function withLifecycle(
  event: Event | undefined,
  message: JsonObject,
  from: MessageOrigin & { account: unknown },
): Event | undefined {
  if (event?.kind !== 'instance-ended') return event;
  const token = message['LifecycleActionToken'];
  const { region, account } = from;
  const lifecycle: LifecycleAction = {
    group: text(message, 'AutoScalingGroupName'),
    hook: text(message, 'LifecycleHookName'),
    ...(typeof token === 'string' && token !== '' && { token }),
    ...(region !== undefined && { region }),
    ...(typeof account === 'string' && /^\d{12}$/.test(account) && { account }),
  };
  return { ...event, lifecycle };
}

/** JSON can hold an object that no string can be made of: `{"toString": 1}`. */
function word(value: unknown): string {
  return typeof value === 'string' ? value : '?';
}

function harmless(notice: string, id: unknown): Event {
  return { kind: 'harmless', notice, ...(isInstanceId(id) && { instanceId: id }) };
}

function instanceId(message: JsonObject, field: string): string {
  const value = message[field];
  if (!isInstanceId(value)) throw invalid(field, value, 'an EC2 instance id');
  return value;
}

function text(message: JsonObject, field: string): string {
  const value = message[field];
  if (typeof value !== 'string' || value === '') throw invalid(field, value, 'a name');
  return value;
}

/**
 * Reads a field that a message need not have; predecessors leave out what they do not know, or send it empty or null.
 * @param dropped gets the name of a field that is malformed: it must not cost the whole message
 */
function optional(
  message: JsonObject,
  field: string,
  accepts: (value: unknown) => value is string,
  dropped: string[],
): string | undefined {
  const given = message[field];
  const value = typeof given === 'string' ? given.trim() : given;
  if (value === undefined || value === null || value === '') return undefined;
  if (accepts(value)) return value;
  dropped.push(field);
  return undefined;
}

function invalid(field: string, value: unknown, wanted: string): AppError {
  const given = value === undefined ? 'missing' : `${JSON.stringify(value).slice(0, 80)}, which is not`;
  return new AppError('invalid', `${field} is ${given}${value === undefined ? ':' : ''} ${wanted}`, {
    field,
  });
}
