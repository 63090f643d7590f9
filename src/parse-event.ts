import { AppError } from './errors.ts';
import type { Event, LifecycleAction } from './event.ts';
import { readHostSignature } from './host-signature.ts';
import { isInstanceId, isNagiosHostName, isNodeName } from './names.ts';

type Fields = Record<string, unknown>;

/**
 * Reads one message, in any of the forms AWS and hosts send (see the README's table of events).
 * @param region where it was published; a lifecycle hook's own message does not tell
 * @returns undefined for what is well-formed but none of ours
 * @throws AppError `invalid`, with the field, for one of ours that cannot be acted upon
 */
export function parseEvent(message: unknown, region?: string): Event | undefined {
  if (!isFields(message)) return undefined;
  if (message['type'] === 'registration') return registration(message);
  if (typeof message['detail-type'] === 'string') return fromEventBridge(message);
  if (typeof message['Event'] === 'string') return fromAutoScaling(message, message['Event']);
  if (typeof message['LifecycleTransition'] === 'string') return lifecycle(message, region);
  return undefined;
}

const METHODS = new Map<unknown, 'delete' | 'ensure'>([
  ['delete', 'delete'],
  ['deregister', 'delete'],
  ['ensure', 'ensure'],
]);

/** @see the predecessor's `chef-registration`, whose `deregister` is our `delete` */
function registration(message: Fields): Event {
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
function fromAutoScaling(message: Fields, name: string): Event | undefined {
  if (!name.startsWith('autoscaling:')) return undefined;
  const ended = name === 'autoscaling:EC2_INSTANCE_TERMINATE' && endsForGood(message);
  if (!ended) return harmless(name, message['EC2InstanceId']);
  return { kind: 'instance-ended', notice: name, instanceId: instanceId(message, 'EC2InstanceId') };
}

/**
 * Auto Scaling calls it a termination, too, when an instance leaves its group alive: detached, moved to standby or
 * back to the warm pool; only the description and the destination tell. One that failed or was cancelled has not
 * happened; what notices of success say in StatusCode is `InProgress`.
 * @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/warm-pools-eventbridge-events.html
 */
function endsForGood({ Description, Destination, StatusCode }: Fields): boolean {
  return (
    (Description === undefined || /^Terminating EC2 instance( from warm pool)?: /.test(word(Description))) &&
    (Destination === undefined || Destination === 'EC2') &&
    (StatusCode === undefined || StatusCode === 'InProgress' || StatusCode === 'Successful')
  );
}

/** @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/prepare-for-lifecycle-notifications.html */
function lifecycle(message: Fields, region: unknown): Event | undefined {
  const transition = message['LifecycleTransition'];
  if (typeof transition !== 'string' || !transition.startsWith('autoscaling:')) return undefined;
  const ending = transition === 'autoscaling:EC2_INSTANCE_TERMINATING' && endsForGood(message);
  if (!ending) return harmless(transition, message['EC2InstanceId']);
  return {
    kind: 'instance-ended',
    notice: transition,
    instanceId: instanceId(message, 'EC2InstanceId'),
    lifecycle: lifecycleAction(message, region),
  };
}

function lifecycleAction(message: Fields, region: unknown): LifecycleAction {
  const token = message['LifecycleActionToken'];
  return {
    group: text(message, 'AutoScalingGroupName'),
    hook: text(message, 'LifecycleHookName'),
    ...(typeof token === 'string' && { token }),
    ...(typeof region === 'string' && { region }),
  };
}

/**
 * @see https://docs.aws.amazon.com/ec2/latest/userguide/monitoring-instance-state-changes.html
 * @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
 * @see https://docs.aws.amazon.com/ec2/latest/userguide/spot-instance-termination-notices.html
 */
function fromEventBridge(message: Fields): Event | undefined {
  const notice = word(message['detail-type']);
  const detail = isFields(message['detail']) ? message['detail'] : {};
  const id = detail['instance-id'] ?? detail['EC2InstanceId'];
  switch (`${word(message['source'])} ${notice}`) {
    case 'aws.ec2 EC2 Instance State-change Notification':
      return detail['state'] === 'shutting-down' || detail['state'] === 'terminated'
        ? { kind: 'instance-ended', notice, instanceId: instanceId(detail, 'instance-id') }
        : harmless(`${notice} (${word(detail['state'])})`, id);
    case 'aws.ec2 EC2 Spot Instance Interruption Warning':
      return detail['instance-action'] === 'terminate'
        ? { kind: 'instance-ending', notice, instanceId: instanceId(detail, 'instance-id') }
        : harmless(`${notice} (${word(detail['instance-action'])})`, id);
    case 'aws.autoscaling EC2 Instance Terminate Successful':
      return !endsForGood(detail)
        ? harmless(`${notice} (${word(detail['Description'])}, to ${word(detail['Destination'])})`, id)
        : { kind: 'instance-ended', notice, instanceId: instanceId(detail, 'EC2InstanceId') };
    case 'aws.autoscaling EC2 Instance-terminate Lifecycle Action':
      return lifecycle(detail, message['region']) ?? harmless(notice, id);
  }
  const ours = ['aws.ec2', 'aws.autoscaling', 'aws.health'].includes(word(message['source']));
  return ours ? harmless(notice, id) : undefined;
}

/** JSON can hold an object that no string can be made of: `{"toString": 1}`. */
function word(value: unknown): string {
  return typeof value === 'string' ? value : '?';
}

function harmless(notice: string, id: unknown): Event {
  return { kind: 'harmless', notice, ...(isInstanceId(id) && { instanceId: id }) };
}

function instanceId(message: Fields, field: string): string {
  const value = message[field];
  if (!isInstanceId(value)) throw invalid(field, value, 'an EC2 instance id');
  return value;
}

function text(message: Fields, field: string): string {
  const value = message[field];
  if (typeof value !== 'string' || value === '') throw invalid(field, value, 'a name');
  return value;
}

/**
 * Reads a field that a message need not have; predecessors leave out what they do not know, or send it empty or null.
 * @param dropped gets the name of a field that is malformed: it must not cost the whole message
 */
function optional(
  message: Fields,
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

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
