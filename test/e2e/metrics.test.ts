import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { countJobs } from '../../src/jobs/counts.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { registerNode, startChefServer } from '../support/chef-server.ts';
import { openStore } from '../support/jobs/store-fixture.ts';
import { unpacked, until } from '../support/process.ts';
import { startServiceProcess, startTestService, testEnvironment } from '../support/service.ts';
import { startWorld, type World } from '../support/world.ts';

const METRIC = /\bchef_deregistration_\w+/g;
let world: World;
let worker: Service;
let doors: Service;
let api: ApiClient;

beforeAll(async () => {
  world = await startWorld({ hosts: ['web-1'], queueId: 'metrics' });
  const env = testEnvironment(world.env);
  worker = await startTestService({ ...env, ROLES: 'worker,trigger' });
  doors = await startTestService({ ...env, ROLES: 'api' });
  api = apiClient(doors.url);
  await registerNode(world.chef, { name: 'web-1' });
  await api.event({ kind: 'delete', node: 'web-1' });
  await api.settled();
  await until('the chef-client run', async () => (await api.trigger()).lastRun);
});
afterAll(async () => {
  await doors?.close('end of the tests');
  await worker?.close('end of the tests');
  await world?.stop();
});

async function scrape({ url }: { url: string }): Promise<string> {
  const response = await fetch(`${url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  return response.text();
}

/** The value of one time series; undefined where there is none. */
async function value(service: { url: string }, series: string): Promise<number | undefined> {
  return valueIn(await scrape(service), series);
}

function valueIn(text: string, series: string): number | undefined {
  const line = text.split('\n').find(each => each.startsWith(`chef_deregistration_${series} `));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
}

test('what a process did is counted there, and only there', async () => {
  const accepted = 'events_total{source="api",kind="delete",outcome="accepted"}';
  expect(await value(doors, accepted)).toBe(1);
  expect(await value(worker, accepted)).toBeUndefined();
  for (const step of ['find', 'archive', 'delete-node', 'confirm-downtime']) {
    const series = `step_duration_seconds_count{step="${step}",outcome="done"}`;
    expect(await value(worker, series), series).toBe(1);
    expect(await value(doors, series), series).toBeUndefined();
  }
  expect(await value(worker, 'job_duration_seconds_count{kind="delete",outcome="done"}')).toBe(1);
  expect(await value(worker, 'event_to_done_seconds_count{kind="delete"}')).toBe(1);
  expect(await value(worker, 'trigger_run_duration_seconds_count{result="done"}')).toBe(1);
  expect(await value(worker, 'calls_total{service="Chef server",status="200"}')).toBeGreaterThan(2);
  expect(await value(worker, 'calls_total{service="Nagios",status="200"}')).toBeGreaterThan(2);
});

test('what Redis knows every process tells alike, one without the API too', async () => {
  for (const service of [doors, worker]) {
    expect(await value(service, 'redis_up')).toBe(1);
    expect(await value(service, 'jobs{kind="delete",state="done"}')).toBe(1);
    expect(await value(service, 'jobs{kind="delete",state="held"}')).toBe(0);
    expect(await value(service, 'oldest_open_job_age_seconds')).toBe(0);
    expect(await value(service, 'uncovered_deletions')).toBe(0);
  }
});

test('what waits in SQS, and in the dead-letter queue, is reported', async () => {
  const queue = 'chef-client-deregistration-queue-metrics';
  const waits = `sqs_messages{queue="${queue}"}`;
  const poller = await startServiceProcess({ ...world.env, ROLES: 'poller', PROVISION: 'true' });
  await until('SQS to be asked', async () => (await value(poller, waits)) === 0);
  expect(await value(poller, `sqs_dead_letter_messages{queue="${queue}-dead-letter"}`)).toBe(0);
  await poller.stop();
});

test('a message that is not accepted is counted as refused', async () => {
  await fetch(`${doors.url}/sns`, { method: 'POST', body: '{}' });
  expect(await value(doors, 'events_total{source="sns",kind="unknown",outcome="refused"}')).toBe(1);
});

test('the age of the oldest open job begins again when a failed one is opened again', async () => {
  const { store, redis, prefix, close } = openStore(world.redis.url);
  const { jobId } = await store.accept(
    {
      event: { kind: 'request', method: 'delete', node: 'old' },
      source: 'api',
      messageId: 'old',
      place: 'api',
      publishedAt: new Date(),
      saidAt: new Date(),
    },
    'delete',
  );
  await redis.hset(`${prefix}:job:${jobId}`, 'receivedAt', new Date(Date.now() - 3_600_000).toISOString());
  expect((await countJobs(redis, prefix)).oldestOpenSeconds).toBeGreaterThanOrEqual(3_600);
  await store.move({ id: jobId }, ['queued'], 'failed');
  await store.move({ id: jobId }, ['failed'], 'queued');
  expect((await countJobs(redis, prefix)).oldestOpenSeconds).toBeLessThan(600);
  close();
});

test('its names and types are as Prometheus wants them', async () => {
  const text = await scrape(worker);
  // Says what is wrong on stderr, and exits with 3 where something is.
  execFileSync(unpacked('usr/bin/promtool'), ['check', 'metrics'], {
    input: text.replace(/^.*\b(nodejs|process)_.*\n/gm, ''),
  });
  const types = [...text.matchAll(/^# TYPE (chef_deregistration_\S+) (\S+)$/gm)];
  expect(types.length).toBeGreaterThan(10);
  for (const [, name, type] of types) expect(name?.endsWith('_total'), name).toBe(type === 'counter');
});

test('alert rules and dashboard ask for nothing that is not there', async () => {
  const rules = new URL('../../monitoring/alerts.yaml', import.meta.url).pathname;
  execFileSync(unpacked('usr/bin/promtool'), ['check', 'rules', rules]);
  const names = new Set(
    (await scrape(worker)).match(/^# TYPE \S+/gm)?.map(line => line.slice('# TYPE '.length)),
  );
  for (const file of ['alerts.yaml', 'dashboard.json']) {
    const asked =
      readFileSync(new URL(`../../monitoring/${file}`, import.meta.url), 'utf8').match(METRIC) ?? [];
    expect(asked.length, file).toBeGreaterThan(5);
    for (const name of asked)
      expect(names, `${name} of ${file}`).toContain(name.replace(/_(bucket|sum|count)$/, ''));
  }
});

test('while Redis is away it still answers, and tells so', async () => {
  world.redis.pause();
  try {
    const text = await scrape(doors);
    expect(valueIn(text, 'redis_up')).toBe(0);
    expect(valueIn(text, 'jobs{kind="delete",state="done"}')).toBeUndefined();
    expect(valueIn(text, 'oldest_open_job_age_seconds')).toBeUndefined();
    expect(valueIn(text, 'events_total{source="api",kind="delete",outcome="accepted"}')).toBe(1);
  } finally {
    world.redis.resume();
  }
  await until('Redis to be back', async () => (await value(doors, 'redis_up')) === 1);
  expect(await value(doors, 'jobs{kind="delete",state="done"}')).toBe(1);
});

test('an outage that pauses all jobs shows in the worker until it is over', async () => {
  const paused = () => value(worker, 'jobs_paused{part="chef"}');
  expect(await paused()).toBe(0);
  await world.chef.stop();
  await api.event({ kind: 'delete', node: 'web-2' });
  await until('the pause', async () => (await paused()) === 1);
  const { url, directory } = world.chef;
  world.chef = await startChefServer({ port: Number(new URL(url).port), directory });
  await until('the end of the pause', async () => (await paused()) === 0);
  await api.settled();
});
