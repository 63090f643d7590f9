import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Job } from '../../src/domain/job.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { type Host, nodeOf, registerNode } from '../support/chef-server.ts';
import { type HttpProxy, startHttpProxy } from '../support/http-proxy.ts';
import { until } from '../support/process.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';
import { instanceId } from '../support/termination.ts';
import { startWebhook, type Webhook } from '../support/webhook.ts';
import { startWorld, type World } from '../support/world.ts';

const MINUTE = 60_000;

let world: World;
let proxy: HttpProxy;
let webhook: Webhook;
let redis: Redis;
let env: NodeJS.ProcessEnv;
let service: ServiceProcess;
let api: ApiClient;
let next = 0;

beforeAll(async () => {
  world = await startWorld({ hosts: ['watched'] });
  [proxy, webhook] = await Promise.all([startHttpProxy(world.chef.url), startWebhook()]);
  redis = new Redis(world.redis.url);
  env = testEnvironment({
    ...world.env,
    LOG_LEVEL: 'info',
    CHEF_SERVER_URL: proxy.url,
    ALERT_WEBHOOK_URL: webhook.url,
  });
  await startIt();
});

beforeEach(() => {
  proxy.watch = () => {};
  webhook.alerts.length = 0;
});

afterAll(async () => {
  await service?.stop();
  redis?.disconnect();
  webhook?.stop();
  await proxy?.stop();
  await world?.stop();
});

async function startIt(): Promise<void> {
  service = await startServiceProcess(env);
  api = apiClient(service.url);
}

/** Registers a host and deletes it; the job that did. */
async function deleted(host: Host, more: object = {}): Promise<string> {
  await registerNode(world.chef, host);
  const id = await api.event({ kind: 'delete', node: host.name, ...more });
  await becomes(id, 'done');
  expect(await world.chef.chef.getNode(host.name)).toBeUndefined();
  return id;
}

function becomes(id: string, state: Job['state']): Promise<Job> {
  return until(`job ${id} to be ${state}`, async () => {
    const job = await api.job(id);
    return job.state === state && job;
  });
}

function isGone(name: string): Promise<unknown> {
  const { chef } = world.chef;
  return until(
    `${name} to be gone`,
    async () => !(await chef.getNode(name)) && !(await chef.getClient(name)),
  );
}

/** All that is to be looked for later is to be looked for now. @returns how many looks that are */
async function minutesPass(): Promise<number> {
  const key = `${env['REDIS_PREFIX']}:zombies`;
  const members = await redis.zrange(key, '0', '-1');
  for (const member of members) await redis.zadd(key, '0', member);
  return members.length;
}

function looksDone(): Promise<unknown> {
  return until(
    'all looks to be done',
    async () => (await redis.zcard(`${env['REDIS_PREFIX']}:zombies`)) === 0,
  );
}

function covered(): Promise<string> {
  return until('the chef-client run', async () => {
    const { pendingDeletes, lastRun } = await api.trigger();
    return pendingDeletes === 0 && lastRun?.finishedAt;
  });
}

test('a node saved again while it is deleted is removed by the same job', async () => {
  const host = { name: 'at-once', instanceId: instanceId(++next) };
  let saved = 0;
  proxy.watch = async ({ method, path, status }) => {
    if (method !== 'DELETE' || path !== '/nodes/at-once' || status !== 200 || saved > 0) return;
    saved += 1;
    await world.chef.chef.createNode(nodeOf(host));
  };
  await deleted(host, { instanceId: host.instanceId });
  expect(saved).toBe(1);
  await isGone('at-once');
});

test('a node saved again minutes later, with its client, is archived and removed, and chef-client runs again', async () => {
  const host = { name: 'later', instanceId: instanceId(++next) };
  const id = await deleted(host, { instanceId: host.instanceId });
  const firstRun = await covered();
  // What waits to be looked for holds nothing up: the run was before it, and so is another job of the node.
  expect(await minutesPass()).toBeGreaterThanOrEqual(2);
  await looksDone();
  const again = await api.event({ kind: 'delete', node: 'later' });
  await becomes(again, 'done');

  const second = await deleted({ ...host, instanceId: instanceId(++next) }, { instanceId: instanceId(next) });
  expect(second).not.toBe(id);
  await covered();
  await registerNode(world.chef, { ...host, instanceId: instanceId(next) });
  expect(await minutesPass()).toBe(2);
  await isGone('later');
  const job = await becomes(second, 'done');
  expect(job.steps.map(step => step.name)).toContain('archive');
  expect((await covered()) > firstRun).toBe(true);
  const archives = (await api.request('GET', '/archives?node=later')).body as { archives: { job: string }[] };
  expect(archives.archives.filter(archive => archive.job === second)).toHaveLength(2);
  expect(webhook.alerts).toEqual([]);
});

test('a new machine that took the name of one that ended is left, its downtime is cancelled, and no alert is raised', async () => {
  const host = { name: 'watched', instanceId: instanceId(++next) };
  const id = await deleted(host, { instanceId: host.instanceId });
  const downtimes = async () =>
    (await world.nagios.downtimes()).filter(({ comment }) => comment.includes(id));
  await until('the downtime', async () => (await downtimes()).length > 0);
  await registerNode(world.chef, { ...host, instanceId: instanceId(++next) });
  await minutesPass();
  await looksDone();
  expect(await world.chef.chef.getNode('watched')).toBeDefined();
  expect(await world.chef.chef.getClient('watched')).toBeDefined();
  await until('no downtime', async () => (await downtimes()).length === 0);
  expect((await api.job(id)).steps).toContainEqual(
    expect.objectContaining({ name: 'cancel-downtime', state: 'done' }),
  );
  expect(webhook.alerts).toEqual([]);
});

test('a host that was deleted by its name alone, and saved what it had read before, is removed again', async () => {
  const host = { name: 'by-name', ohaiTime: new Date(Date.now() - MINUTE) };
  await deleted(host);
  await registerNode(world.chef, host);
  await minutesPass();
  await isGone('by-name');
});

test('a host that was deleted by its name alone, and runs chef-client since, is left, and people are alerted', async () => {
  await deleted({ name: 'lives' });
  await registerNode(world.chef, { name: 'lives', ohaiTime: new Date(Date.now() + MINUTE) });
  await minutesPass();
  const alert = await until('the alert', () => webhook.alerts[0]);
  expect(alert).toMatchObject({ name: 'node-came-back', node: 'lives' });
  expect(alert.whatHappened).toMatch(/saved again by a chef-client that ran at .*: it lives/);
  await looksDone();
  expect(await world.chef.chef.getNode('lives')).toBeDefined();
  expect(await world.chef.chef.getClient('lives')).toBeDefined();
});

test('a node that was asked back is not taken for one that came back', async () => {
  const host = { name: 'asked-back', instanceId: instanceId(++next) };
  const id = await deleted(host, { instanceId: host.instanceId });
  await becomes(await api.event({ kind: 'ensure', node: host.name, instanceId: host.instanceId }), 'done');
  await minutesPass();
  await looksDone();
  expect((await api.job(id)).state).toBe('done');
  expect(await world.chef.chef.getNode('asked-back')).toBeDefined();
});

test('what keeps coming back is left after the third time, and people are alerted', async () => {
  const host = { name: 'stubborn', instanceId: instanceId(++next) };
  const id = await deleted(host, { instanceId: host.instanceId });
  for (let returns = 1; returns <= 3; returns++) {
    await registerNode(world.chef, host);
    await minutesPass();
    await isGone('stubborn');
    await becomes(id, 'done');
  }
  await registerNode(world.chef, host);
  await minutesPass();
  const alert = await until('the alert', () => webhook.alerts[0]);
  expect(alert.whatHappened).toContain('came back 4 times');
  expect(await world.chef.chef.getNode('stubborn')).toBeDefined();
});

test('what is to be looked for outlives a kill -9 of the service', async () => {
  const host = { name: 'outlived', instanceId: instanceId(++next) };
  await deleted(host, { instanceId: host.instanceId });
  await service.stop('SIGKILL');
  await registerNode(world.chef, host);
  expect(await minutesPass()).toBeGreaterThanOrEqual(2);
  await startIt();
  await isGone('outlived');
});
