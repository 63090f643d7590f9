import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import type { Job } from '../../src/domain/job.ts';
import { apiClient } from '../support/api-client.ts';
import type { FaultOf } from '../support/cgi.ts';
import { registerNode } from '../support/chef-server.ts';
import { until } from '../support/process.ts';
import { startTestService } from '../support/service.ts';
import { startWorld, type World } from '../support/world.ts';

/** The two commands of a downtime: of the services, which goes first, and of the host. */
const COMMANDS = ['86', '55'];
/** One fault of one command, once, of each host named after it. */
const FAULTS = COMMANDS.flatMap(command => [
  { name: `lost-${command}`, command, fault: 'lose' as const },
  { name: `cut-${command}`, command, fault: 'cut' as const },
  { name: `busy-${command}`, command, fault: 503 },
]);
const WHO = ['required', 'optional'] as const;

let world: World;
let services: Record<(typeof WHO)[number], Service>;

beforeAll(async () => {
  const hosts = WHO.flatMap(who => [
    ...FAULTS.map(({ name }) => `${name}-${who}`),
    `nothing-${who}`,
    `good-${who}`,
  ]);
  world = await startWorld({ hosts });
  world.nagios.gateway.fail(faults());
  const [required, optional] = await Promise.all([
    startTestService({ ...world.env, NAGIOS_REQUIRED: 'true' }),
    startTestService(world.env),
  ]);
  services = { required, optional };
});

afterAll(async () => {
  await Promise.all(Object.values(services ?? {}).map(service => service.close('end of the tests')));
  await world?.stop();
});

function faults(): FaultOf {
  const done = new Set<string>();
  return ({ method, form }) => {
    const host = form.get('host') ?? '';
    if (method !== 'POST') return undefined;
    if (host.startsWith('nothing-')) return 'pretend';
    const { command, fault } = FAULTS.find(({ name }) => host.startsWith(name)) ?? {};
    if (fault === undefined || form.get('cmd_typ') !== command || done.has(host)) return undefined;
    done.add(host);
    return fault;
  };
}

async function deleted(node: string, who: (typeof WHO)[number], state: Job['state'] = 'done'): Promise<Job> {
  const api = apiClient(services[who].url);
  await registerNode(world.chef, { name: node });
  const id = await api.event({ kind: 'delete', node });
  return until(
    `the job of ${node} to be ${state}`,
    async () => {
      const job = await api.job(id);
      return job.state === state && job;
    },
    45_000,
  );
}

async function standing(node: string): Promise<number> {
  return (await world.nagios.downtimes()).filter(({ host_name }) => host_name === node).length;
}

function stepOf(job: Job, step: string) {
  return job.steps.find(({ name }) => name === step);
}

describe.concurrent.each(WHO)('where Nagios is %s', who => {
  test.each(FAULTS)('one downtime stands of each, after one fault of a command: $name', async ({ name }) => {
    const node = `${name}-${who}`;
    const job = await deleted(node, who);
    expect(stepOf(job, 'confirm-downtime')).toMatchObject({ state: 'done' });
    expect(await standing(node)).toBe(3);
    expect(await world.chef.chef.getNode(node)).toBeUndefined();
  });
});

describe.concurrent('a downtime that Nagios takes and does not make', () => {
  test('keeps the node if Nagios is required, and whoever tries the job again gets another chance', async () => {
    const job = await deleted('nothing-required', 'required', 'failed');
    expect(job.error).toMatchObject({
      code: 'rejected',
      message: expect.stringContaining('Nagios took the command'),
    });
    expect(job.steps.map(({ name }) => name)).not.toContain('archive');
    expect(await world.chef.chef.getNode('nothing-required')).toBeDefined();
    const api = apiClient(services.required.url);
    const sent = () =>
      world.nagios.requests.filter(({ form }) => form.get('host') === 'nothing-required').length;
    const before = sent();
    expect((await api.request('POST', `/jobs/${job.id}/retry`)).status).toBe(202);
    await until('both commands to be sent again', () => sent() === before + COMMANDS.length);
  });

  test('is noted if it is not', async () => {
    const job = await deleted('nothing-optional', 'optional');
    expect(stepOf(job, 'confirm-downtime')).toMatchObject({
      state: 'failed',
      note: expect.stringContaining('Nagios took the command for nothing-optional, but'),
    });
    expect(await world.chef.chef.getNode('nothing-optional')).toBeUndefined();
  });
});

test('where Nagios is required, the downtime stands before anything is saved or deleted', async () => {
  const api = apiClient(services.required.url);
  await registerNode(world.chef, { name: 'good-required' });
  const seen: number[] = [];
  const id = await api.event({ kind: 'delete', node: 'good-required' });
  await expect
    .poll(
      async () => {
        const job = await api.job(id);
        if (stepOf(job, 'archive')) seen.push(await standing('good-required'));
        return job.state;
      },
      { interval: 20, timeout: 30_000 },
    )
    .toBe('done');
  expect(seen[0]).toBe(3);
});
