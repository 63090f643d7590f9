import type { ApiClient } from '../api-client.ts';
import { signHostMessage } from '../host-message.ts';
import type { SnsPublisher } from '../sns-publisher.ts';
import { terminationNotice } from '../termination.ts';
import type { World } from '../world.ts';

/** The host that an event is about. */
export interface OldHost {
  name: string;
  instanceId: string;
  /** PEM, of its Chef client. */
  privateKey: string;
}

interface Telling {
  world: World;
  host: OldHost;
  api: ApiClient;
  /** Base URL of the service. */
  url: string;
}

interface Plan {
  /** What has happened before the event, and is not disturbed. */
  before?: (telling: Telling) => Promise<unknown>;
  /** Sends the event. @returns the id of its job */
  send: (telling: Telling) => Promise<string>;
}

export const PLAN_NAMES = ['delete', 'host-delete', 'ensure'] as const;
export type PlanName = (typeof PLAN_NAMES)[number];

export const PLANS: Record<PlanName, Plan> = {
  /** Auto Scaling says that the instance ended. */
  delete: {
    send: ({ world, host, url }) => publish(world.publisher, terminationNotice(host.instanceId), url),
  },
  /** The host says so itself, as its shutdown script does. */
  'host-delete': {
    send: ({ world, host: { name, instanceId, privateKey }, url }) => {
      const message = { method: 'delete', chef_name: name, nagios_name: name, instance_id: instanceId };
      const { topicArn } = world.hosts;
      const signed = signHostMessage({ type: 'registration', ...message }, { privateKey, topicArn });
      return publish(world.hosts, signed, url);
    },
  },
  /** A person wants the node back, by its name alone. */
  ensure: {
    before: async ({ api, host }) => api.finished(await api.event({ kind: 'delete', node: host.name })),
    send: ({ api, host }) => api.event({ kind: 'ensure', node: host.name }),
  },
};

async function publish(topic: SnsPublisher, message: object, url: string): Promise<string> {
  const { status, body } = await topic.deliver(topic.envelope(message), `${url}/sns`);
  const { outcome, jobId } = JSON.parse(body);
  if (status !== 200 || outcome !== 'accepted') throw new Error(`POST /sns answered ${status}: ${body}`);
  return jobId;
}
