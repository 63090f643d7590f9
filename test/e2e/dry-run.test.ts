import { existsSync } from 'node:fs';
import { GetQueueAttributesCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openClients } from '../../src/app/clients.ts';
import { dryClients } from '../../src/app/dry-run.ts';
import { ShutdownStack } from '../../src/app/shutdown.ts';
import { readSettings } from '../../src/config.ts';
import type { Job } from '../../src/domain/job.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { registerNode } from '../support/chef-server.ts';
import { until } from '../support/process.ts';
import { type Recorder, startRecorder } from '../support/recorder.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWebhook, type Webhook } from '../support/webhook.ts';
import { startWorld, type World } from '../support/world.ts';

const NAMES = ['pushed', 'queued', 'hooked', 'asked', 'restored'];
/** What AWS is asked that changes nothing but how long a message in flight stays hidden. */
const AWS_READS = ['ReceiveMessage', 'ChangeMessageVisibilityBatch', 'GetQueueUrl', 'GetQueueAttributes'];

const LOOKS = [
  ...[
    'getNode',
    'getClient',
    'getClientKeys',
    'clientIdentity',
    'hasKeyOf',
    'snapshot',
    'findNodeNames',
    'listNodes',
  ],
  ...[
    'hostsNamed',
    'showHost',
    'listDowntimes',
    'get',
    'list',
    'topicAttributes',
    'topicExists',
    'subscriptions',
    'subscriptionAttributes',
  ],
  ...[
    'receive',
    'changeVisibility',
    'queueUrl',
    'attributes',
    'instanceState',
    'instances',
    'probe',
    'close',
  ],
];

let world: World;
let chef: Recorder;
let aws: Recorder;
let webhook: Webhook;
let env: NodeJS.ProcessEnv;
let service: ServiceProcess;
let api: ApiClient;

beforeAll(async () => {
  world = await startWorld({ hosts: NAMES, queueId: 'dry' });
  [chef, aws, webhook] = await Promise.all([
    startRecorder(world.chef.url),
    startRecorder(world.aws?.url ?? ''),
    startWebhook(),
  ]);
  env = testEnvironment({
    ...world.env,
    LOG_LEVEL: 'info',
    ALERT_WEBHOOK_URL: webhook.url,
    NODE_SIGNATURES: 'optional',
  });
  for (const [at, name] of NAMES.entries()) {
    await registerNode(world.chef, { name, instanceId: instanceId(at) });
  }
  // Without the poller, whose last long poll the emulator would still give a message.
  await startIt({ PROVISION: 'true', ROLES: 'api,worker,trigger' });
  await provisioned();
  // The emulator may hand what is given back to a long poll that is over; then it comes again soon.
  const Attributes = { VisibilityTimeout: '3' };
  await world.aws?.sqs.send(new SetQueueAttributesCommand({ QueueUrl: queueUrl(), Attributes }));
});

afterAll(async () => {
  await service?.stop();
  for (const part of [chef, aws, webhook]) part?.stop();
  await world?.stop();
});

async function startIt(more: NodeJS.ProcessEnv): Promise<void> {
  await service?.stop();
  service = await startServiceProcess({ ...env, ...more });
  api = apiClient(service.url);
}

function provisioned(): Promise<unknown> {
  const harmless = { Event: 'autoscaling:TEST_NOTIFICATION' };
  return until('topic and queue', async () => (await world.publisher.publish(harmless)).length > 0);
}

/** The topic is accepted once it is known. */
async function push(message: object): Promise<void> {
  const envelope = world.publisher.envelope(message);
  await until(
    'the topic to be known',
    async () => (await world.publisher.deliver(envelope, `${service.url}/sns`)).status === 200,
  );
}

async function finished(node: string): Promise<Job> {
  return until(`the job of ${node}`, async () => (await api.jobs(`node=${node}&state=done`))[0]);
}

async function snapshots() {
  return Promise.all(NAMES.map(name => world.chef.chef.snapshot(name)));
}

function queueUrl(): string {
  return `${world.aws?.url}/000000000000/chef-client-deregistration-queue-dry-aws`;
}

async function messagesInQueue(): Promise<number> {
  const QueueUrl = queueUrl();
  const { Attributes = {} } =
    (await world.aws?.sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }))) ?? {};
  return (
    Number(Attributes['ApproximateNumberOfMessages']) +
    Number(Attributes['ApproximateNumberOfMessagesNotVisible'])
  );
}

const notes = (job: Job) => job.steps.map(({ name, note }) => `${name}: ${note}`).join('\n');

test('a dry run goes the whole way of each event, tells what it would do, and changes nothing anywhere', async () => {
  // A node that was deleted for real, to be asked back.
  await api.event({ kind: 'delete', node: 'restored' });
  await finished('restored');
  const archived = await api.request('GET', '/archives');
  const before = await snapshots();
  const downtimes = await world.nagios.downtimes();
  world.nagios.requests.length = 0;
  webhook.alerts.length = 0;

  await startIt({
    DRY_RUN: 'true',
    CHEF_SERVER_URL: chef.url,
    AWS_ENDPOINT_URL: aws.url,
    PUBLIC_URL: 'http://127.0.0.1:9',
  });
  await push(terminationNotice(instanceId(0)));
  await world.publisher.publish(terminationNotice(instanceId(1)));
  await world.publisher.publish({ 'not understood': true, type: 'registration' });
  await push({
    LifecycleHookName: 'deregister',
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
    AutoScalingGroupName: 'web-asg',
    EC2InstanceId: instanceId(2),
  });
  await api.event({ kind: 'delete', node: 'asked' });
  await api.event({ kind: 'ensure', node: 'restored' });
  const jobs = new Map(
    await Promise.all(NAMES.map(async name => [name, notes(await finished(name))] as const)),
  );

  for (const name of ['pushed', 'queued', 'hooked', 'asked']) {
    expect(jobs.get(name)).toContain(`downtime: would ask Nagios for a downtime of ${name} and its services`);
    expect(jobs.get(name)).toContain(`archive: would save Chef node and client ${name} in the archive`);
    expect(jobs.get(name)).toContain(`delete-client: would delete Chef client ${name}`);
    expect(jobs.get(name)).toContain(`delete-node: would delete Chef node ${name}`);
  }
  expect(jobs.get('hooked')).toContain('would answer CONTINUE to hook deregister of web-asg');
  expect(jobs.get('restored')).toMatch(
    /recreate-client: would make Chef client restored with the keys of archive/,
  );
  expect(jobs.get('restored')).toMatch(/recreate-node: would make Chef node restored as in archive/);
  const { lastRun } = await until('the run', async () => {
    const trigger = await api.trigger();
    return trigger.pendingDeletes === 0 && trigger.lastRun && trigger;
  });
  expect(lastRun?.output).toMatch(/^DRY_RUN: would run \/bin\/sh /);

  expect(await messagesInQueue()).toBe(3);
  // Longer than the queue hides a message by itself.
  const held = () => aws.requests.filter(({ action }) => action === 'ChangeMessageVisibilityBatch').length;
  await until('messages to be held for a while', () => held() > 5);
  const received = service.output().split('message not understood').length - 1;
  expect(received).toBe(1);
  await service.stop();
  expect(chef.requests.length).toBeGreaterThan(10);
  expect(
    chef.requests.filter(({ method, path }) => method !== 'GET' && !path.startsWith('/search/node?')),
  ).toEqual([]);
  expect(world.nagios.requests.length).toBeGreaterThan(0);
  expect(world.nagios.requests.filter(({ method, cgi }) => method !== 'GET' || cgi === 'cmd.cgi')).toEqual(
    [],
  );
  expect(aws.requests.length).toBeGreaterThan(0);
  expect(aws.requests.filter(({ action = '' }) => !AWS_READS.includes(action))).toEqual([]);
  expect(webhook.alerts).toEqual([]);
  expect(await snapshots()).toEqual(before);
  expect(await world.nagios.downtimes()).toEqual(downtimes);
  expect(await messagesInQueue()).toBe(3);

  // What it received is new to the service that follows it.
  await startIt({});
  expect((await api.request('GET', '/archives')).body).toEqual(archived.body);
  await push(terminationNotice(instanceId(0)));
  for (const name of ['pushed', 'queued']) {
    await finished(name);
    expect(await world.chef.chef.getNode(name)).toBeUndefined();
  }
});

test('a dry run makes no folder for its archive', async () => {
  const archive = testEnvironment({})['ARCHIVE_URL'] ?? '';
  await startIt({ DRY_RUN: 'true', ARCHIVE_URL: archive });
  await api.event({ kind: 'delete', node: 'hooked' });
  expect(notes(await finished('hooked'))).toContain('would save');
  const { body } = await api.request('GET', '/readyz');
  expect(body).toMatchObject({ archive: 'ok' });
  expect(existsSync(new URL(archive).pathname)).toBe(false);
});

test('whatever a client can do but look is refused, and reaches nobody', async () => {
  const settings = readSettings({ ...env, CHEF_SERVER_URL: chef.url, AWS_ENDPOINT_URL: aws.url });
  const closing = new ShutdownStack(() => {});
  const real = await openClients(settings, closing);
  const { alertChannels, ...dry } = dryClients(real);
  const asked = [chef, aws].flatMap(({ requests }) => requests).length;
  expect(alertChannels).toEqual([]);
  const changes: string[] = [];
  for (const [name, client] of Object.entries(dry)) {
    const original = real[name as keyof typeof dry];
    const proto = Object.getPrototypeOf(original);
    const methods = Object.getOwnPropertyNames(proto === Object.prototype ? original : proto);
    for (const method of methods) {
      if (method === 'constructor' || LOOKS.includes(method)) continue;
      changes.push(method);
      const call = Reflect.get(client ?? {}, method) as () => Promise<unknown>;
      await expect(call(), `${name}.${method}`).rejects.toThrow('since DRY_RUN is set');
    }
  }
  expect(changes).toEqual(
    expect.arrayContaining(['deleteNode', 'scheduleDowntime', 'save', 'delete', 'subscribe']),
  );
  expect([chef, aws].flatMap(({ requests }) => requests)).toHaveLength(asked);
  await closing.close();
});
