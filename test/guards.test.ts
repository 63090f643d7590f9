import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Job } from '../src/job.ts';
import type { Service } from '../src/service.ts';
import { type ApiClient, apiClient } from './parts/api-client.ts';
import { registerNode } from './parts/chef-server.ts';
import { signHostMessage } from './parts/host-message.ts';
import { until } from './parts/process.ts';
import { startTestService } from './parts/service.ts';
import { instanceId, startWorld, terminationNotice, type World } from './parts/world.ts';

let world: World;
let service: Service;
let api: ApiClient;
let next = 1;

beforeAll(async () => {
  world = await startWorld({ hosts: ['watched'] });
  service = await startTestService({ ...world.env, PROTECTED_NODES: 'db-*,vip-[12]' });
  api = apiClient(service.url);
});

afterAll(async () => {
  await service?.close('end of the tests');
  await world?.stop();
});

async function publish(message: object, options: object = {}): Promise<{ outcome: string; jobId: string }> {
  const { body } = await world.publisher.deliver(
    world.publisher.envelope(message, options),
    `${service.url}/sns`,
  );
  return JSON.parse(body);
}

function signed(privateKey: string, message: object): object {
  const { topicArn } = world.publisher;
  return signHostMessage({ type: 'registration', ...message }, { privateKey, topicArn });
}

function becomes(id: string, state: Job['state']): Promise<Job> {
  return until(`job ${id} to be ${state}`, async () => {
    const job = await api.job(id);
    return job.state === state && job;
  });
}

async function decide(id: string, decision: string) {
  return api.request('POST', `/jobs/${id}/${decision}`);
}

async function lives(name: string): Promise<void> {
  expect(await world.chef.chef.getNode(name)).toBeDefined();
  expect(await world.chef.chef.getClient(name)).toBeDefined();
}

async function isGone(name: string): Promise<void> {
  expect(await world.chef.chef.getNode(name)).toBeUndefined();
  expect(await world.chef.chef.getClient(name)).toBeUndefined();
}

describe('a node', () => {
  test('that is protected is held, not even put into downtime, and goes once a person approves', async () => {
    await registerNode(world.chef, { name: 'db-1', instanceId: instanceId(++next) });
    const { jobId } = await publish(terminationNotice(instanceId(next)));
    const job = await becomes(jobId, 'held');
    expect(job.error?.message).toContain('PROTECTED_NODES (db-*)');
    expect(job.steps.some(step => step.name === 'downtime')).toBe(false);
    await lives('db-1');

    expect((await decide(jobId, 'approve')).status).toBe(202);
    expect(await becomes(jobId, 'done')).toMatchObject({ approvedBy: 'tests' });
    await isGone('db-1');
  });

  test('whose name was used again by a machine that lives is not touched', async () => {
    const ohaiTime = new Date(Date.now() + 16 * 60_000);
    await registerNode(world.chef, { name: 'used-again', ohaiTime });
    const job = await becomes(await api.event({ kind: 'delete', node: 'used-again' }), 'held');
    expect(job.error?.message).toMatch(
      /chef-client ran on node used-again at .* it lives, or its name was used again/,
    );
    await lives('used-again');
  });

  test('of another instance is given up by a person, and stays so whoever repeats the news', async () => {
    const name = 'other-instance';
    const { privateKey } = await registerNode(world.chef, { name, instanceId: instanceId(++next) });
    const claim = signed(privateKey, { method: 'delete', chef_name: name, instance_id: instanceId(++next) });
    const { jobId } = await publish(claim);
    await becomes(jobId, 'held');
    expect((await decide(jobId, 'discard')).body).toMatchObject({
      state: 'failed',
      error: { code: 'discarded', message: 'discarded by tests' },
    });
    const again = signed(privateKey, { method: 'delete', chef_name: name, instance_id: instanceId(next) });
    expect(await publish(again)).toEqual({ outcome: 'duplicate', jobId });
    expect((await decide(jobId, 'approve')).status).toBe(409);
    await lives('other-instance');
  });

  test('that a host named wrongly does not keep the real death of the instance away', async () => {
    const instance = instanceId(++next);
    const { privateKey } = await registerNode(world.chef, {
      name: 'slandered',
      instanceId: instanceId(++next),
    });
    await registerNode(world.chef, { name: 'really-dead', instanceId: instance });
    const claim = signed(privateKey, { method: 'delete', chef_name: 'slandered', instance_id: instance });
    const held = await publish(claim);
    await becomes(held.jobId, 'held');
    const real = await publish(terminationNotice(instance));
    expect(real.outcome).toBe('accepted');
    await becomes(real.jobId, 'done');
    await isGone('really-dead');
    await lives('slandered');
  });
});

describe('more deletions than the budget', () => {
  test('are held with one alert, and all go on once they are approved; chef-client runs after each part', async () => {
    await service.close('the next has a whole budget');
    service = await startTestService({ ...world.env, MAX_DELETES: '10' });
    api = apiClient(service.url);
    const names = Array.from({ length: 40 }, (_, at) => `flood-${at}`);
    const instances = names.map(() => instanceId(++next));
    await Promise.all(
      names.map((name, at) => registerNode(world.chef, { name, instanceId: instances[at] ?? '' })),
    );
    const receipts = await Promise.all(instances.map(instance => publish(terminationNotice(instance))));
    const ids = receipts.map(receipt => receipt.jobId);
    const states = async () => (await Promise.all(ids.map(id => api.job(id)))).map(job => job.state);
    await until('each to be done or held', async () =>
      (await states()).every(state => /done|held/.test(state)),
    );
    expect((await states()).filter(state => state === 'done')).toHaveLength(10);
    const left = async () => {
      const nodes = await Promise.all(names.map(name => world.chef.chef.getNode(name)));
      return nodes.filter(Boolean).length;
    };
    expect(await left()).toBe(30);
    const covered = () =>
      until('the chef-client run', async () => {
        const trigger = await api.trigger();
        return trigger.pendingDeletes === 0 && trigger.lastRun?.finishedAt;
      });
    const firstRun = await covered();

    const { status, body } = await api.request('POST', '/jobs/approve?kind=delete');
    expect(status).toBe(202);
    expect((body as { count: number }).count).toBeGreaterThanOrEqual(30);
    await until('all to be done', async () => (await states()).every(state => state === 'done'));
    expect(await left()).toBe(0);
    expect((await covered()) > firstRun).toBe(true);
  });
});

test('a decision about a job that is not there, or not in that state, says so', async () => {
  expect((await decide('nobody', 'approve')).status).toBe(404);
  const id = await api.event({ kind: 'delete', node: 'never-there' });
  await becomes(id, 'done');
  expect(await decide(id, 'retry')).toMatchObject({
    status: 409,
    body: { detail: `job ${id} is done; retry is for jobs that are failed` },
  });
});
