import { ListSubscriptionsByTopicCommand, SetSubscriptionAttributesCommand } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { keyPair, registerNode } from '../support/chef-server.ts';
import { makeHost } from '../support/host/host.ts';
import { type MetadataService, roleCredentials, startMetadata } from '../support/host/metadata.ts';
import { until } from '../support/process.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';
import { instanceId } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:chef-client-deregistration-queue-hosts';

let world: World;
let service: ServiceProcess;
let api: ApiClient;
let metadata: MetadataService;

beforeAll(async () => {
  world = await startWorld({ hosts: ['mortal', 'robbed'], queueId: 'hosts' });
  service = await startServiceProcess(
    testEnvironment({ ...world.env, LOG_LEVEL: 'info', PROVISION: 'true' }),
  );
  api = apiClient(service.url);
  const sns = world.aws?.sns;
  const subscription = await until('the queue to be subscribed', async () => {
    const listed = await sns?.send(new ListSubscriptionsByTopicCommand({ TopicArn: TOPIC }));
    return listed?.Subscriptions?.[0]?.SubscriptionArn;
  });
  // The emulator's envelopes have no signature of SNS's that could be verified.
  const raw = { AttributeName: 'RawMessageDelivery', AttributeValue: 'true' };
  await sns?.send(new SetSubscriptionAttributesCommand({ SubscriptionArn: subscription, ...raw }));
  metadata = await startMetadata({
    'instance-id': instanceId(1),
    'iam/security-credentials/': 'hosts',
    'iam/security-credentials/hosts': roleCredentials({ id: 'ASIA1', secret: 'secret', token: 'token==' }),
  });
});

afterAll(async () => {
  await metadata?.stop();
  await service?.stop();
  await world?.stop();
});

async function powerOff(node: string, key: string, more: Record<string, string> = {}): Promise<void> {
  const settings = { TOPIC_ARN: TOPIC, SNS_ENDPOINT: world.aws?.url ?? '', METADATA_ENDPOINT: metadata.url };
  const host = makeHost({ key, node, settings: { ...settings, ...more } });
  host.systemdJobs('poweroff.target start');
  expect((await host.run(['stop'])).stderr).toContain(`published delete of ${node}`);
}

function jobOf(node: string, state: string) {
  return until(`the job of ${node} to be ${state}`, async () => {
    return (await api.jobs(`node=${node}`)).find(job => job.state === state);
  });
}

test('a host that powers off is identified by its signature, and removed', async () => {
  const { privateKey } = await registerNode(world.chef, {
    name: 'mortal',
    instanceId: instanceId(1),
    ownKey: true,
  });
  await powerOff('mortal', privateKey);
  expect(await jobOf('mortal', 'done')).toMatchObject({ kind: 'delete', instanceId: instanceId(1) });
  expect(await world.chef.chef.getNode('mortal')).toBeUndefined();
  expect(await world.chef.chef.getClient('mortal')).toBeUndefined();
});

test('a message that is signed with another host’s key removes nothing', async () => {
  await registerNode(world.chef, { name: 'robbed', instanceId: instanceId(2), ownKey: true });
  await powerOff('robbed', keyPair().privateKey, { INSTANCE_ID: instanceId(2) });
  const job = await jobOf('robbed', 'held');
  expect(job.error?.message).toContain('none of the keys');
  expect(await world.chef.chef.getNode('robbed')).toBeDefined();
});
