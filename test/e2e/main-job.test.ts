import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { registerNode } from '../support/chef-server.ts';
import { signHostMessage } from '../support/host-message.ts';
import { until } from '../support/process.ts';
import { startTestService, testEnvironment } from '../support/service.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

const HOSTS = ['notice', 'message', 'request', ...Array.from({ length: 6 }, (_, at) => `burst-${at}`)];
const DELETE_STEPS = [
  'find',
  'guard',
  'downtime',
  'archive',
  'delete-client',
  'delete-node',
  'verify',
  'confirm-downtime',
];

let world: World;
let env: NodeJS.ProcessEnv;
let service: Service;
let api: ApiClient;

beforeAll(async () => {
  world = await startWorld({ hosts: HOSTS });
  env = testEnvironment(world.env);
  service = await startTestService(env);
  api = apiClient(service.url);
});

afterAll(async () => {
  await service?.close('end of the tests');
  await world?.stop();
});

async function publish(message: object): Promise<string> {
  const { status, body } = await world.publisher.deliver(
    world.publisher.envelope(message),
    `${service.url}/sns`,
  );
  expect(status).toBe(200);
  return (JSON.parse(body) as { jobId: string }).jobId;
}

function runs(): string[] {
  const log = env['CHEF_CLIENT_COMMAND']?.split(' ').at(-1) ?? '';
  try {
    return readFileSync(log, 'utf8')
      .split('\n')
      .filter(line => line.startsWith('begin'));
  } catch {
    return [];
  }
}

async function isGone(name: string): Promise<void> {
  expect(await world.chef.chef.getNode(name)).toBeUndefined();
  expect(await world.chef.chef.getClient(name)).toBeUndefined();
}

describe('a deletion', () => {
  test('by Auto Scaling’s notice: found by instance id, in downtime, archived, gone, with a note for each step', async () => {
    const { node } = await registerNode(world.chef, { name: 'notice', instanceId: instanceId(1) });
    const id = await publish(terminationNotice(instanceId(1)));
    const job = await api.finished(id);

    expect(job).toMatchObject({
      kind: 'delete',
      node: 'notice',
      instanceId: instanceId(1),
      source: 'sns',
      attempts: 1,
    });
    expect(job.steps.map(step => [step.name, step.state])).toEqual(DELETE_STEPS.map(name => [name, 'done']));
    await isGone('notice');

    const downtimes = await world.nagios.downtimes();
    const ours = downtimes.filter(downtime => downtime.comment.includes(id));
    expect(ours.filter(downtime => downtime.type === 2).map(downtime => downtime.host_name)).toEqual([
      'notice',
    ]);
    expect(ours.filter(downtime => downtime.type === 1).length).toBeGreaterThan(0);

    const archive = job.steps.find(step => step.name === 'archive')?.note?.split(' ')[1];
    const directory = new URL(env['ARCHIVE_URL'] ?? '').pathname;
    const saved = JSON.parse(readFileSync(`${directory}/nodes/notice/${archive}.json`, 'utf8'));
    expect(JSON.parse(saved.chef.node)).toMatchObject({
      name: 'notice',
      automatic: { ec2: node.automatic?.['ec2'] },
    });
    expect(JSON.parse(saved.chef.client)).toMatchObject({ name: 'notice' });
  });

  test('by the message of a host, in the predecessor’s words', async () => {
    const { privateKey } = await registerNode(world.chef, { name: 'message', instanceId: instanceId(2) });
    const message = {
      type: 'registration',
      method: 'deregister',
      chef_name: 'message',
      nagios_name: 'message',
      instance_id: instanceId(2),
    };
    const id = await publish(signHostMessage(message, { privateKey, topicArn: world.hosts.topicArn }));
    expect((await api.finished(id)).steps.map(step => step.state)).toEqual(DELETE_STEPS.map(() => 'done'));
    await isGone('message');
  });

  test('by a person: the job says who asked', async () => {
    await registerNode(world.chef, { name: 'request' });
    const id = await api.event({ kind: 'delete', node: 'request', reason: 'decommissioned' });
    expect(await api.finished(id)).toMatchObject({
      source: 'api',
      requestedBy: 'tests',
      event: { reason: 'decommissioned' },
    });
    await isGone('request');
  });

  test('with another instance id than the node’s touches neither node nor client', async () => {
    const { privateKey } = await registerNode(world.chef, { name: 'another', instanceId: instanceId(3) });
    const message = {
      type: 'registration',
      method: 'delete',
      chef_name: 'another',
      instance_id: instanceId(4),
    };
    const id = await publish(signHostMessage(message, { privateKey, topicArn: world.hosts.topicArn }));
    const job = await api.finished(id, 'held');
    expect(job.error?.message).toContain(instanceId(3));
    expect(await world.chef.chef.getNode('another')).toBeDefined();
    expect(await world.chef.chef.getClient('another')).toBeDefined();
  });

  test('of an instance that two nodes claim touches neither', async () => {
    await registerNode(world.chef, { name: 'twin-1', instanceId: instanceId(5) });
    await registerNode(world.chef, { name: 'twin-2', instanceId: instanceId(5) });
    const job = await api.finished(await publish(terminationNotice(instanceId(5))), 'held');
    expect(job.error?.message).toMatch(/twin-1, twin-2|twin-2, twin-1/);
    expect(await world.chef.chef.getNode('twin-1')).toBeDefined();
    expect(await world.chef.chef.getNode('twin-2')).toBeDefined();
  });

  test('of a node that is half gone removes what is left', async () => {
    await registerNode(world.chef, { name: 'client-only' });
    await world.chef.chef.deleteNode('client-only');
    await registerNode(world.chef, { name: 'node-only' });
    await world.chef.chef.deleteClient('node-only');
    await api.finished(await api.event({ kind: 'delete', node: 'client-only' }));
    await api.finished(await api.event({ kind: 'delete', node: 'node-only' }));
    await isGone('client-only');
    await isGone('node-only');
  });

  test('of a host that Nagios does not know goes on and says so', async () => {
    await registerNode(world.chef, { name: 'unknown-to-nagios' });
    const job = await api.finished(await api.event({ kind: 'delete', node: 'unknown-to-nagios' }));
    expect(job.steps.find(step => step.name === 'downtime')).toMatchObject({
      state: 'skipped',
      note: 'Nagios has no host unknown-to-nagios or unknown-to-nagios.example.com',
    });
    await isGone('unknown-to-nagios');
  });

  test('of six at once ends in one chef-client run after the last', async () => {
    await until('earlier runs to end', async () => (await api.trigger()).state === 'idle');
    const before = runs().length;
    const names = HOSTS.filter(name => name.startsWith('burst'));
    await Promise.all(
      names.map((name, at) => registerNode(world.chef, { name, instanceId: instanceId(10 + at) })),
    );
    const ids = await Promise.all(names.map((_, at) => publish(terminationNotice(instanceId(10 + at)))));
    const jobs = await Promise.all(ids.map(id => api.finished(id)));
    await Promise.all(names.map(isGone));

    const { lastRun } = await until('the run', async () => {
      const trigger = await api.trigger();
      return trigger.state === 'idle' && trigger.pendingDeletes === 0 && trigger;
    });
    expect(lastRun).toMatchObject({ exitCode: 0, output: expect.stringContaining('Infra Phase complete') });
    const lastDeletion = jobs
      .map(job => job.steps.find(step => step.name === 'delete-node')?.at ?? '')
      .sort()
      .at(-1);
    expect(lastRun && lastRun.startedAt > String(lastDeletion)).toBe(true);
    expect(runs().length - before).toBe(1);
  });
});
