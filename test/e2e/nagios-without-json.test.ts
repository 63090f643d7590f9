import { execFile } from 'node:child_process';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import type { Job } from '../../src/domain/job.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { registerNode } from '../support/chef-server.ts';
import { type AwsStandIn, CREDENTIALS, startAwsStandIn } from '../support/clients/aws-stand-in.ts';
import { JSON_CGIS, without } from '../support/nagios.ts';
import { until } from '../support/process.ts';
import { startTestService, testEnvironment } from '../support/service.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

const HOSTS = [
  'own-1',
  'full-1.example.com',
  'short-1',
  'hooked',
  'listed',
  'shown',
  'waits',
  'kept',
  'forbidden',
];
const COMPLETED = {
  status: 200,
  body: '<CompleteLifecycleActionResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><CompleteLifecycleActionResult/></CompleteLifecycleActionResponse>',
};

let world: World;
let autoScaling: AwsStandIn;
/** One by its defaults, and one that requires Nagios. */
let service: Served;
let strict: Served;
let next = 0;

beforeAll(async () => {
  [world, autoScaling] = await Promise.all([
    startWorld({ hosts: [...HOSTS, { name: 'short-2', address: '10.9.9.9' }] }),
    startAwsStandIn(),
  ]);
  vi.stubEnv('AWS_ACCESS_KEY_ID', CREDENTIALS.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', CREDENTIALS.secretAccessKey);
  [service, strict] = await Promise.all([serve(), serve({ NAGIOS_REQUIRED: 'true' })]);
});

beforeEach(() => {
  autoScaling.answers = [COMPLETED];
  world.nagios.gateway.fail(without(JSON_CGIS));
});

afterAll(async () => {
  await Promise.all([service, strict].map(each => each?.close('end of the tests')));
  vi.unstubAllEnvs();
  autoScaling?.stop();
  await world?.stop();
});

interface Served {
  api: ApiClient;
  publish: (message: object) => Promise<string>;
  metrics: () => Promise<string>;
  close: Service['close'];
}

async function serve(more: NodeJS.ProcessEnv = {}): Promise<Served> {
  const { url, close } = await startTestService({
    ...world.env,
    AWS_ENDPOINT_URL: autoScaling.options.endpoint,
    ...more,
  });
  return {
    api: apiClient(url),
    close,
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
    async publish(message) {
      const { publisher } = world;
      const { status, body } = await publisher.deliver(publisher.envelope(message), `${url}/sns`);
      expect(status, body).toBe(200);
      return JSON.parse(body).jobId;
    },
  };
}

async function ended(name: string, by = service): Promise<string> {
  const instance = instanceId(++next);
  await registerNode(world.chef, { name, instanceId: instance });
  return by.publish(terminationNotice(instance));
}

function stepOf(job: Job, step: string) {
  return job.steps.find(({ name }) => name === step);
}

/** How many downtimes stand for a job: one of the host, two of its services. */
function downtimes(id: string, host: string) {
  const standing = async () => {
    const all = await world.nagios.downtimes();
    return all.filter(({ comment, host_name }) => comment.includes(id) && host_name === host).length;
  };
  return expect.poll(standing, { timeout: 10_000 });
}

const NOT_PROVED = {
  state: 'failed',
  note: expect.stringMatching(
    /^(?!.*set NAGIOS_URL).*not proved.* 404 for statusjson\.cgi.*Nagios Core has .* since 4\.0\.7, Icinga 1 has neither/,
  ),
};

describe('a Nagios without JSON CGIs is asked for a downtime under', () => {
  test.each([
    ['own-1', 'own-1'],
    ['full-1', 'full-1.example.com'],
    ['short-1.example.com', 'short-1'],
  ])('node %s: Nagios host %s; the job ends, and says that it could not be proved', async (name, host) => {
    const job = await service.api.finished(await ended(name));
    expect(stepOf(job, 'downtime')).toMatchObject({ state: 'done', note: `asked for ${host}` });
    expect(stepOf(job, 'confirm-downtime')).toMatchObject(NOT_PROVED);
    expect(job.attempts).toBe(1);
    await downtimes(job.id, host).toBe(3);
    await until('chef-client to have run', async () => {
      const { state, lastRun } = await service.api.trigger();
      return state === 'idle' && lastRun !== null;
    });
  });

  test('no short name that its page shows to be another machine’s', async () => {
    const job = await service.api.finished(await ended('short-2.example.com'));
    expect(stepOf(job, 'downtime')).toMatchObject({
      state: 'skipped',
      note: expect.stringContaining('Nagios host short-2 has the address 10.9.9.9'),
    });
    await downtimes(job.id, 'short-2').toBe(0);
  });

  test('no name at all where it knows none, which is distinguished from a user who may not', async () => {
    const job = await service.api.finished(await ended('nobody-1'));
    expect(stepOf(job, 'downtime')).toMatchObject({
      state: 'skipped',
      note: 'Nagios has no host nobody-1 or nobody-1.example.com',
    });
  });

  test('the status 403, which some web servers give for what is not there', async () => {
    world.nagios.gateway.fail(without(JSON_CGIS, 403));
    const job = await service.api.finished(await ended('forbidden'));
    expect(stepOf(job, 'confirm-downtime')?.note).toMatch(/not proved.* 403 for statusjson\.cgi/);
    await downtimes(job.id, 'forbidden').toBe(3);
  });
});

test('a lifecycle action does not wait for a proof that cannot come', async () => {
  const instance = instanceId(++next);
  await registerNode(world.chef, { name: 'hooked', instanceId: instance });
  const id = await service.publish({
    LifecycleHookName: 'deregister',
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
    AutoScalingGroupName: 'web-asg',
    EC2InstanceId: instance,
    LifecycleActionToken: `token-of-${instance}`,
  });
  const job = await service.api.finished(id);
  expect(stepOf(job, 'complete-lifecycle')).toMatchObject({ state: 'done' });
  expect(stepOf(job, 'confirm-downtime')).toMatchObject(NOT_PROVED);
});

describe('with only one of the two JSON CGIs', () => {
  test('objectjson.cgi is missing: the downtime is proved', async () => {
    world.nagios.gateway.fail(without(['objectjson.cgi']));
    const job = await service.api.finished(await ended('shown.example.com'));
    expect(stepOf(job, 'confirm-downtime')).toMatchObject({ state: 'done' });
    await downtimes(job.id, 'shown').toBe(3);
  });

  test('statusjson.cgi is missing: hosts are found in any case, and the downtime is not proved', async () => {
    world.nagios.gateway.fail(without(['statusjson.cgi']));
    const job = await service.api.finished(await ended('Listed.example.com'));
    expect(stepOf(job, 'confirm-downtime')).toMatchObject(NOT_PROVED);
    await downtimes(job.id, 'listed').toBe(3);
  });
});

describe('where Nagios is required', () => {
  test('nothing is done to a node whose downtime cannot be proved; the job is held and says why, and others go on', async () => {
    const before = world.nagios.requests.length;
    const id = await ended('kept', strict);
    const job = await strict.api.finished(id, 'held');
    expect(job.error).toMatchObject({
      code: 'unproved-downtime',
      message: expect.stringMatching(/^nothing was deleted, since NAGIOS_REQUIRED=true .*4\.0\.7.*approve/),
    });
    expect(job.steps.map(({ name, state }) => [name, state])).toEqual([
      ['find', 'done'],
      ['guard', 'done'],
      ['downtime', 'failed'],
    ]);
    expect(await world.chef.chef.getNode('kept')).toBeDefined();
    expect(await world.chef.chef.getClient('kept')).toBeDefined();
    expect(world.nagios.requests.slice(before).every(({ method }) => method === 'GET')).toBe(true);

    await registerNode(world.chef, { name: 'alive' });
    await strict.api.finished(await strict.api.event({ kind: 'ensure', node: 'alive' }));
    expect(await strict.metrics()).toMatch(/jobs_paused\{part="nagios"\} 0/);

    world.nagios.gateway.fail();
    expect((await strict.api.request('POST', `/jobs/${id}/approve`)).status).toBe(202);
    const done = await strict.api.finished(id);
    expect(stepOf(done, 'downtime')).toMatchObject({ state: 'done', note: 'kept is in downtime' });
    expect(await world.chef.chef.getNode('kept')).toBeUndefined();
  });

  test('a person can let a deletion go on without a proof', async () => {
    const id = await ended('waits', strict);
    await strict.api.finished(id, 'held');
    expect((await strict.api.request('POST', `/jobs/${id}/approve`)).status).toBe(202);
    const job = await strict.api.finished(id);
    expect(stepOf(job, 'confirm-downtime')).toMatchObject(NOT_PROVED);
    await downtimes(id, 'waits').toBe(3);
    expect(await world.chef.chef.getNode('waits')).toBeUndefined();
  });
});

describe('check', () => {
  const check = (env: NodeJS.ProcessEnv): Promise<{ code: number | null; stdout: string }> =>
    new Promise(resolve => {
      const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
      const child = execFile(
        process.execPath,
        [main, 'check'],
        { env: { PATH: process.env['PATH'], ...testEnvironment({ ...world.env, ...env }) } },
        (_, stdout) => resolve({ code: child.exitCode, stdout }),
      );
    });

  test('says that no downtime can be proved, and since when Nagios can', async () => {
    const { stdout } = await check({});
    expect(stdout).toMatch(/^ok +nagios .*404 for statusjson\.cgi.*since 4\.0\.7/m);
  });

  test('calls that a fault if Nagios is required', async () => {
    const { code, stdout } = await check({ NAGIOS_REQUIRED: 'true' });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^fault +nagios .*since 4\.0\.7/m);
  });
});
