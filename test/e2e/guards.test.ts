import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import type { Job } from '../../src/domain/job.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { nodeOf, registerNode } from '../support/chef-server.ts';
import { type Ec2StandIn, startEc2StandIn } from '../support/ec2.ts';
import { signHostMessage } from '../support/host-message.ts';
import { startHttpProxy } from '../support/http-proxy.ts';
import { until } from '../support/process.ts';
import {
  type ServiceProcess,
  startServiceProcess,
  startTestService,
  testEnvironment,
} from '../support/service.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWebhook, type Webhook } from '../support/webhook.ts';
import { startWorld, type World } from '../support/world.ts';

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
  const { topicArn } = world.hosts;
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

  test('of another instance is given up by a person, and stays so whoever repeats the message', async () => {
    const name = 'other-instance';
    const { privateKey } = await registerNode(world.chef, { name, instanceId: instanceId(++next) });
    const claim = signed(privateKey, { method: 'delete', chef_name: name, instance_id: instanceId(++next) });
    const { jobId } = await publish(claim);
    await becomes(jobId, 'held');
    expect((await decide(jobId, 'discard')).body).toMatchObject({
      state: 'discarded',
      error: { code: 'discarded', message: 'discarded by tests' },
      reasons: [{ code: 'other-instance' }],
    });
    const again = signed(privateKey, { method: 'delete', chef_name: name, instance_id: instanceId(next) });
    expect(await publish(again)).toEqual({ outcome: 'duplicate', jobId });
    expect((await decide(jobId, 'approve')).status).toBe(409);
    await lives('other-instance');
  });

  test('that a host named wrongly does not keep the real termination of the instance away', async () => {
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
  const names = Array.from({ length: 500 }, (_, at) => `flood-${at}`);
  const instances = names.map((_, at) => instanceId(10_000 + at));
  let webhook: Webhook;

  beforeAll(async () => {
    webhook = await startWebhook();
    await service.close('the next has a whole budget');
    // The budget is the default, 50 in ten minutes; Nagios does not know these hosts anyway.
    const more = { NAGIOS_URL: '', NAGIOS_USERNAME: '', NAGIOS_PASSWORD: '', ALERT_WEBHOOK_URL: webhook.url };
    service = await startTestService({ ...world.env, ...more });
    api = apiClient(service.url);
    // A few at a time, and without waiting for search to show each of them.
    await Promise.all(
      Array.from({ length: 8 }, async (_, first) => {
        for (let at = first; at < names.length; at += 8) {
          const automatic = { ec2: { instance_id: instances[at] } };
          await registerNode(world.chef, { name: names[at] ?? '', automatic });
        }
      }),
    );
    await until('search to show them all', async () => (await left()) === names.length);
  }, 120_000);

  afterAll(() => webhook?.stop());

  async function states(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { state } of await api.jobs()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  function areOnly(counts: Record<string, number>, ...states: Job['state'][]): boolean {
    return Object.keys(counts).every(state => states.includes(state as Job['state']));
  }

  async function left(): Promise<number> {
    const nodes = await world.chef.chef.listNodes({});
    return nodes.filter(({ name }) => name.startsWith('flood-')).length;
  }

  const covered = () =>
    until('the chef-client run', async () => {
      const trigger = await api.trigger();
      return trigger.pendingDeletes === 0 && trigger.lastRun?.finishedAt;
    });

  test('are held with one alert; approved they go, and chef-client runs after each part', async () => {
    // With their names: goiardi’s search takes a while for each of so many.
    await Promise.all(
      names.map((node, at) => api.event({ kind: 'delete', node, instanceId: instances[at] })),
    );
    await until('each to be done or held', async () => areOnly(await states(), 'done', 'held'), 60_000);
    expect(await states()).toEqual({ done: 50, held: 450 });
    expect(await left()).toBe(450);
    const firstRun = await covered();
    expect(webhook.alerts.map(({ name, whatHappened }) => [name, whatHappened])).toEqual([
      ['too-many-deletions', expect.stringContaining('more than 50 deletions within 10 minutes')],
    ]);
    expect(webhook.alerts[0]?.whatToDo).toContain('POST /jobs/approve?error=over-budget');

    // A name that was used again while its job was held is not approved by that.
    const [held] = await api.jobs('state=held&limit=1');
    const reused = held?.node ?? '';
    await world.chef.chef.updateNode(nodeOf({ name: reused, instanceId: instanceId(++next) }));
    expect(await api.request('POST', '/jobs/approve?error=over-budget')).toEqual({
      status: 202,
      body: { count: 450 },
    });
    await until('all to be done', async () => areOnly(await states(), 'done', 'held'), 60_000);
    expect(await states()).toEqual({ done: 499, held: 1 });
    expect(await left()).toBe(1);
    await lives(reused);
    expect((await covered()) > firstRun).toBe(true);
    expect(webhook.alerts.filter(({ name }) => name === 'too-many-deletions')).toHaveLength(1);
  }, 180_000);
});

describe('EC2, where it is asked', () => {
  let ec2: Ec2StandIn;
  let verifying: ServiceProcess;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    ec2 = await startEc2StandIn();
    await service.close('the next asks EC2');
    env = testEnvironment({ ...world.env, ...ec2.env, LOG_LEVEL: 'info', VERIFY_EC2: 'true' });
    verifying = await startServiceProcess(env);
    service = { url: verifying.url, close: () => verifying.stop() };
    api = apiClient(service.url);
  });

  afterAll(() => ec2?.stop());

  async function termination(name: string, state?: string): Promise<string> {
    const instance = instanceId(++next);
    if (state) ec2.instances.set(instance, state);
    await registerNode(world.chef, { name, instanceId: instance });
    return (await publish(terminationNotice(instance))).jobId;
  }

  test('holds the deletion of an instance that is pending, running, stopping or stopped', async () => {
    await Promise.all(
      ['pending', 'running', 'stopping', 'stopped'].map(async state => {
        const job = await becomes(await termination(`ec2-${state}`, state), 'held');
        expect(job.error?.message).toMatch(new RegExp(`EC2 says i-[0-9a-f]{17} is ${state}$`));
        await lives(`ec2-${state}`);
      }),
    );
  });

  test('is overruled by a person who approves', async () => {
    const [job] = await api.jobs('node=ec2-running');
    await decide(job?.id ?? '', 'approve');
    await becomes(job?.id ?? '', 'done');
    await isGone('ec2-running');
  });

  test.each(['shutting-down', 'terminated'])('lets one go that is %s', async state => {
    const job = await becomes(await termination(`ec2-${state}`, state), 'done');
    expect(job.steps.find(step => step.name === 'guard')?.note).toBe(`EC2 says ${state}`);
    await isGone(`ec2-${state}`);
  });

  test('holds the deletion of an instance that it does not know, while the node does not say where it is', async () => {
    const job = await becomes(await termination('ec2-unknown'), 'held');
    expect(job.reasons).toMatchObject([{ code: 'unverified' }]);
    expect(job.error?.message).toContain('the node does not say which account it is in (ec2.account_id)');
    await lives('ec2-unknown');
  });

  test('is asked again a moment later, when it shows one that has just ended as running', async () => {
    const id = await termination('ec2-late', 'running');
    await becomes(id, 'retrying');
    ec2.instances.set((await api.job(id)).instanceId ?? '', 'shutting-down');
    await becomes(id, 'done');
    await isGone('ec2-late');
  });

  test('that cannot be reached is asked again, and then the deletion is held with one alert for all', async () => {
    ec2.unreachable(true);
    const ids = await Promise.all([termination('ec2-away-1'), termination('ec2-away-2')]);
    const redis = new Redis(world.redis.url);
    for (const id of ids) {
      const job = `${env['REDIS_PREFIX']}:job:${id}`;
      await until('EC2 to be missed', async () => (await redis.hget(job, 'facts'))?.includes('awayFrom'));
      await until('the job to say so', async () =>
        (await api.job(id)).error?.message.includes('ec2:DescribeInstances'),
      );
      // Two minutes pass.
      await until(`job ${id} to be held`, async () => {
        const facts = JSON.parse((await redis.hget(job, 'facts')) ?? '{}');
        if (facts.awayFrom) await redis.hset(job, 'facts', JSON.stringify({ ...facts, awayFrom: 1 }));
        return (await api.job(id)).state === 'held';
      });
    }
    redis.disconnect();
    await lives('ec2-away-1');
    await until('the alert', () => verifying.output().includes('alert: error instances-unverified'));
    expect(verifying.output().split('alert: error instances-unverified')).toHaveLength(2);
    ec2.unreachable(false);
    await api.request('POST', '/jobs/approve?error=unverified&node=ec2-away-1');
    await becomes(ids[0] ?? '', 'done');
    await isGone('ec2-away-1');
  });

  test('is asked once for many', async () => {
    ec2.asked.length = 0;
    await Promise.all(Array.from({ length: 20 }, (_, at) => termination(`ec2-many-${at}`, 'terminated')));
    await api.settled(['done', 'held']);
    // An instance that ended does not come back, so it is asked about once.
    expect(ec2.asked.flatMap(({ ids }) => ids)).toHaveLength(20);
    expect(ec2.asked.length).toBeLessThan(10);
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

test('a node that becomes another machine between two deletions is left, also if only its name was given', async () => {
  await service.close('the next goes through a proxy');
  const proxy = await startHttpProxy(world.chef.url);
  service = await startTestService({ ...world.env, CHEF_SERVER_URL: proxy.url });
  api = apiClient(service.url);
  proxy.watch = async ({ method, path, status }) => {
    const name = path.split('/').at(-1) ?? '';
    if (method !== 'DELETE' || !path.startsWith('/clients/swapped') || status !== 200) return;
    await world.chef.chef.updateNode(nodeOf({ name, instanceId: instanceId(++next) }));
  };
  const told = instanceId(++next);
  await registerNode(world.chef, { name: 'swapped-told', instanceId: told });
  await registerNode(world.chef, { name: 'swapped-named', instanceId: instanceId(++next) });
  const ids = [
    await api.event({ kind: 'delete', node: 'swapped-told', instanceId: told }),
    await api.event({ kind: 'delete', node: 'swapped-named' }),
  ];
  const [byInstance, byName] = await Promise.all(ids.map(id => becomes(id, 'held')));
  expect(byInstance?.error?.message).toContain(`the event says that instance ${told} ended`);
  expect(byName?.error?.message).toContain('its name was used again');
  expect(await world.chef.chef.getNode('swapped-told')).toBeDefined();
  expect(await world.chef.chef.getNode('swapped-named')).toBeDefined();
  await proxy.stop();
});
