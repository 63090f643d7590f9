import { expect } from 'vitest';
import { ChefClient } from '../../src/clients/chef/client.ts';
import type { Job } from '../../src/domain/job.ts';
import { type ApiClient, apiClient } from './api-client.ts';
import { textsOf } from './chef-server.ts';
import { signHostMessage } from './host-message.ts';
import { startTestService, testEnvironment } from './service.ts';
import { startWebhook, type Webhook } from './webhook.ts';
import { startWorld, type World } from './world.ts';

/** A service in this process that deletes and restores hosts. */
export interface EnsureFixture {
  world: World;
  webhook: Webhook;
  api: ApiClient;
  /** Delivers a message by SNS; the id of its job. */
  publish: (message: object) => Promise<string>;
  /** A host says that it wants to be back; the id of its job. Its client is gone: the key that was archived tells who it is. */
  wantsBack: (name: string, instance: string, privateKey: string) => Promise<string>;
  /** Asks for a deletion or restore, and waits until it is done. */
  ask: (kind: 'delete' | 'ensure', node: string, more?: object) => Promise<Job>;
  /** What Chef has of a host. */
  whole: (name: string) => ReturnType<typeof textsOf>;
  expectGone: (name: string) => Promise<void>;
  /** The id of a node's newest archive. */
  newestArchive: (node: string) => Promise<string>;
  /** Saves the node again, as the host's own chef-client does at the end of its run. */
  saveAsHost: (name: string, privateKey: string) => Promise<void>;
  stop: () => Promise<void>;
}

/** @param hosts those that Nagios knows */
export async function startEnsureFixture(hosts = ['web-1']): Promise<EnsureFixture> {
  const [world, webhook] = await Promise.all([startWorld({ hosts }), startWebhook()]);
  const { chef, publisher } = world;
  const env = testEnvironment({ ...world.env, ALERT_WEBHOOK_URL: webhook.url });
  const service = await startTestService(env);
  const api = apiClient(service.url);

  const publish: EnsureFixture['publish'] = async message => {
    const { status, body } = await publisher.deliver(publisher.envelope(message), `${service.url}/sns`);
    expect(status).toBe(200);
    return (JSON.parse(body) as { jobId: string }).jobId;
  };
  return {
    world,
    webhook,
    api,
    publish,
    wantsBack: (name, instance, privateKey) => {
      const message = { type: 'registration', method: 'ensure', chef_name: name, instance_id: instance };
      return publish(signHostMessage(message, { privateKey, topicArn: world.hosts.topicArn }));
    },
    ask: async (kind, node, more = {}) => api.finished(await api.event({ kind, node, ...more })),
    whole: name => textsOf(chef, name),
    expectGone: async name => expect(await textsOf(chef, name)).toEqual({ node: null, client: null }),
    newestArchive: async node => {
      const { body } = await api.request('GET', `/archives?node=${node}&limit=1`);
      return (body as { archives: { id: string }[] }).archives[0]?.id ?? '';
    },
    saveAsHost: async (name, key) => {
      const host = new ChefClient({ url: chef.url, clientName: name, key });
      try {
        const node = await host.getNode(name);
        if (!node) throw new Error(`${name} does not see its node`);
        expect(await host.updateNode({ ...node, normal: { saved: true } })).toBe('updated');
      } finally {
        await host.close();
      }
      expect((await chef.chef.getNode(name))?.normal).toEqual({ saved: true });
    },
    stop: async () => {
      await service.close('end of the tests');
      webhook.stop();
      await world.stop();
    },
  };
}

export function stepStates(job: Job): Record<string, string> {
  return Object.fromEntries(job.steps.map(({ name, state }) => [name, state]));
}
