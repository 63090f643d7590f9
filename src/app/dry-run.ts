import type { Settings } from '../config.ts';
import { AppError } from '../domain/errors.ts';
import type { Clients } from './clients.ts';

/**
 * The settings of a service that changes nothing. Its jobs are apart from the real ones (other keys in Redis): it works
 * none of those, and a termination that it received is new to the real service.
 */
export function drySettings(settings: Settings): Settings {
  const { ALERT_TOPIC_ARN, ALERT_WEBHOOK_URL, PUBLIC_URL, ...rest } = settings;
  return {
    ...rest,
    REDIS_PREFIX: `${settings.REDIS_PREFIX}:dry-run`,
    PROVISION: false,
    ARCHIVE_DAYS: 0,
    CHEF_CLIENT_COMMAND: ['echo', 'DRY_RUN: would run', ...settings.CHEF_CLIENT_COMMAND],
  };
}

/** The same clients, of which only what changes nothing is there: whatever else is tried fails, and says so. */
export function dryClients(clients: Clients): Clients {
  const { chef, nagios, archive, sns, sqs, autoScaling, ec2 } = clients;
  return {
    chef: readOnly('Chef server', chef, [
      ...(['getNode', 'getClient', 'getClientKeys', 'clientIdentity', 'hasKeyOf', 'snapshot'] as const),
      ...(['findNodeNames', 'listNodes', 'probe', 'close'] as const),
    ]),
    nagios:
      nagios && readOnly('Nagios', nagios, ['hostsNamed', 'showHost', 'listDowntimes', 'probe', 'close']),
    archive: {
      ...readOnly('archive', archive, ['get', 'list', 'close']),
      save: () => refuse('archive', 'save'),
      prune: () => refuse('archive', 'prune'),
      // Its own would write.
      probe: async () => void (await archive.list({ limit: 1 })),
    },
    sns: readOnly('SNS', sns, [
      ...(['topicAttributes', 'topicExists'] as const),
      ...(['subscriptions', 'subscriptionAttributes', 'close'] as const),
    ]),
    // A message that is received is hidden from others until its visibility ends; that is all that is changed of it.
    sqs: readOnly('SQS', sqs, ['receive', 'changeVisibility', 'queueUrl', 'attributes', 'close']),
    autoScaling: readOnly('Auto Scaling', autoScaling, ['instanceState', 'close']),
    ec2: readOnly('EC2', ec2, ['instanceState', 'instances', 'close']),
    alertChannels: [],
  };
}

function readOnly<T extends object>(name: string, client: T, reads: readonly (keyof T)[]): T {
  return new Proxy(client, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      if (reads.includes(property as keyof T)) return value.bind(target);
      return () => refuse(name, String(property));
    },
  });
}

function refuse(name: string, what: string): Promise<never> {
  return Promise.reject(new AppError('rejected', `${name}: ${what} was not done, since DRY_RUN is set`));
}
