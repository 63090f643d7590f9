import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import type { Job } from '../../src/domain/job.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { type Host, nodeOf, registerNode } from '../support/chef-server.ts';
import { signHostMessage } from '../support/host-message.ts';
import { until } from '../support/process.ts';
import { startTestService } from '../support/service.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

const HOSTS = [
  ...[
    'web-1',
    'ip-10-0-0-7',
    'Web Server 1',
    'Second Word',
    'DB-1.Example.com',
    'Shop Front',
    'localhost',
    'Übersee 1',
  ],
  ...[
    'victim',
    'victim-2.example.com',
    'Victim 3',
    'shared-1',
    'solo-1',
    'Twin-1',
    'twin-1',
    'plain-1',
    'kept-1',
  ],
  { name: 'app-1', address: '10.9.9.9' },
  { name: 'app-2', address: 'app-2.other.org' },
  { name: 'app-3', alias: 'app-3.other.org' },
  { name: 'app-4', displayName: 'app-4.other.org' },
  { name: 'app-5', address: '10.0.0.15' },
  { name: 'app-6', address: '203.0.113.6' },
  { name: 'app-7', address: 'APP-7.example.com', alias: 'The seventh' },
  { name: 'app-8', address: 'app-8' },
  { name: 'app-9.example.com', address: '198.51.100.9' },
  { name: 'Front Desk', address: '10.9.9.8' },
];

let world: World;
let service: Service;
let api: ApiClient;
let next = 0;

beforeAll(async () => {
  world = await startWorld({ hosts: HOSTS });
  service = await startTestService(world.env);
  api = apiClient(service.url);
});

afterAll(async () => {
  await service?.close('end of the tests');
  await world?.stop();
});

async function deliver(message: object): Promise<{ outcome: string; jobId: string }> {
  const { status, body } = await world.publisher.deliver(
    world.publisher.envelope(message),
    `${service.url}/sns`,
  );
  expect(status, body).toBe(200);
  return JSON.parse(body);
}

async function publish(message: object): Promise<Job> {
  return api.finished((await deliver(message)).jobId);
}

/** A node whose instance ends, as AWS tells. */
async function ended(name: string, automatic: Host['automatic'] = {}): Promise<Job> {
  const instance = instanceId(++next);
  await registerNode(world.chef, { name, instanceId: instance, automatic });
  return publish(terminationNotice(instance));
}

/** A node whose host says that it ends. */
async function saidToEnd(name: string, nagios_name: string, automatic: Host['automatic'] = {}): Promise<Job> {
  const instance = instanceId(++next);
  const { privateKey } = await registerNode(world.chef, { name, instanceId: instance, automatic });
  const message = {
    type: 'registration',
    method: 'delete',
    chef_name: name,
    nagios_name,
    instance_id: instance,
  };
  return publish(signHostMessage(message, { privateKey, topicArn: world.publisher.topicArn }));
}

/** Who lives beside it. */
async function lives(name: string, automatic: Host['automatic'] = {}): Promise<void> {
  await registerNode(world.chef, { name, instanceId: instanceId(++next), automatic });
  const hostname = automatic['hostname'] ?? name.split('.')[0];
  await expect.poll(() => world.chef.chef.findNodeNames('hostname', `${hostname}`)).toContain(name);
}

function noteOf(job: Job): string {
  return job.steps.find(({ name }) => name === 'downtime')?.note ?? '';
}

/** What the job silenced: its host, and the host's two services. */
async function silenced(job: Job): Promise<string[]> {
  const all = await world.nagios.downtimes();
  return all.filter(({ comment }) => comment.includes(job.id)).map(({ host_name }) => host_name);
}

async function expectSilenced(job: Job, host: string): Promise<void> {
  expect(noteOf(job)).toContain(`asked for ${host}`);
  expect(job.steps.at(-1)).toMatchObject({ name: 'confirm-downtime', state: 'done' });
  expect(await silenced(job)).toEqual([host, host, host]);
}

async function expectNothingSilenced(job: Job, why: string): Promise<void> {
  expect(job.steps.find(({ name }) => name === 'downtime')).toMatchObject({
    state: 'skipped',
    note: expect.stringContaining(why),
  });
  expect(await silenced(job)).toEqual([]);
}

describe('a node is found in Nagios under', () => {
  test('its short name', async () => {
    await expectSilenced(await ended('web-1.example.com'), 'web-1');
  });

  test('its hostname', async () => {
    const fqdn = 'ip-10-0-0-7.eu-west-1.compute.internal';
    await expectSilenced(await ended(instanceId(999), { fqdn, hostname: 'ip-10-0-0-7' }), 'ip-10-0-0-7');
  });

  test('its full name in another case', async () => {
    await expectSilenced(await ended('db-1.example.com'), 'DB-1.Example.com');
  });

  test('the name that its attribute nagios.host_name has', async () => {
    await expectSilenced(await ended('shop-1', { nagios: { host_name: 'shop front' } }), 'Shop Front');
  });

  test('the name that its own message gives, which need not be one of Chef', async () => {
    await expectSilenced(await saidToEnd('web-server-1', 'Web Server 1'), 'Web Server 1');
  });

  test('the name that its own message gives after AWS told of its end', async () => {
    const name = 'told-twice';
    const instance = instanceId(++next);
    const { privateKey } = await registerNode(world.chef, { name, instanceId: instance });
    // Chef’s search is not asked again before five seconds: the job waits meanwhile.
    await world.chef.chef.deleteNode(name);
    const first = await deliver(terminationNotice(instance));
    await until('the job to wait', async () => (await api.job(first.jobId)).state === 'retrying');
    await world.chef.chef.createNode(nodeOf({ name, instanceId: instance }));
    const nagios_name = 'Second Word';
    const message = {
      type: 'registration',
      method: 'delete',
      chef_name: name,
      nagios_name,
      instance_id: instance,
    };
    const signed = signHostMessage(message, { privateKey, topicArn: world.publisher.topicArn });
    expect(await deliver(signed)).toEqual({ outcome: 'duplicate', jobId: first.jobId });
    await expectSilenced(await api.finished(first.jobId), nagios_name);
  });

  test('its own name if Nagios does not know the name that its message gives', async () => {
    const job = await saidToEnd('plain-1', 'No Such Host');
    await expectSilenced(job, 'plain-1');
  });

  test('its full name, whatever address Nagios has of that', async () => {
    await expectSilenced(await ended('app-9', {}), 'app-9.example.com');
  });

  test('whatever name a person gives', async () => {
    await registerNode(world.chef, { name: 'nameless' });
    const id = await api.event({ kind: 'delete', node: 'nameless', nagiosHost: 'Victim 3' });
    await expectSilenced(await api.finished(id), 'Victim 3');
  });

  test('a name that is not ASCII', async () => {
    await registerNode(world.chef, { name: 'overseas' });
    const id = await api.event({ kind: 'delete', node: 'overseas', nagiosHost: 'Übersee 1' });
    const job = await api.finished(id);
    expect(job.steps.at(-1)).toMatchObject({ name: 'confirm-downtime', state: 'done' });
    expect(await silenced(job)).toHaveLength(3);
  });
});

describe('a short name is taken for the node’s if Nagios shows', () => {
  test('its address', async () => {
    await expectSilenced(await ended('app-5.example.com', { ipaddress: '10.0.0.15' }), 'app-5');
  });

  test('an address that it has beside its first', async () => {
    const ec2 = { public_ipv4: '203.0.113.6' };
    await expectSilenced(await ended('app-6.example.com', { cloud: ec2 }), 'app-6');
  });

  test('its full name as the address', async () => {
    await expectSilenced(await ended('app-7.example.com'), 'app-7');
  });

  test('the name itself as the address', async () => {
    await expectSilenced(await ended('app-8.example.com'), 'app-8');
  });
});

describe('a living host is not silenced for a node that shares', () => {
  test.each([
    ['app-1', 'has the address 10.9.9.9'],
    ['app-2', 'has the address app-2.other.org'],
    ['app-3', 'is called app-3.other.org'],
    ['app-4', 'is called app-4.other.org'],
  ])('the short name %s with it, if that one %s', async (short, why) => {
    const job = await ended(`${short}.example.com`);
    await expectNothingSilenced(
      job,
      `Nagios host ${short} ${why}, so it is not taken for node ${short}.example.com`,
    );
  });

  test('its short name, as Chef knows', async () => {
    await lives('shared-1.other.org');
    await expectNothingSilenced(
      await ended('shared-1.example.com'),
      'may be that of Chef node shared-1.other.org',
    );
  });

  test('its name but for the domain, as Chef knows', async () => {
    await lives('solo-1', { hostname: 'other' });
    await expectNothingSilenced(await ended('solo-1.example.com'), 'may be that of Chef node solo-1');
  });

  test('a name that Nagios has in two spellings', async () => {
    await expectNothingSilenced(await ended('TWIN-1.example.com'), 'several hosts named TWIN-1');
  });

  test('the name localhost, which is the Nagios server’s', async () => {
    const localhost = { hostname: 'localhost', fqdn: 'localhost' };
    await expectNothingSilenced(await ended('fresh-1', localhost), 'Nagios has no host fresh-1');
    await expectNothingSilenced(await saidToEnd('fresh-2', 'localhost'), 'Nagios has no host fresh-2');
  });
});

describe('a host cannot silence another by', () => {
  test('naming it in its message', async () => {
    await lives('victim');
    const job = await saidToEnd('kept-1', 'victim');
    await expectSilenced(job, 'kept-1');
    expect(noteOf(job)).toContain('Nagios host victim may be that of Chef node victim');
    await expectNothingSilenced(await saidToEnd('liar-1', 'VICTIM'), 'may be that of Chef node victim');
  });

  test('taking its full name into its own node', async () => {
    await lives('victim-2', { hostname: 'victim-2' });
    const job = await ended('liar-2', { fqdn: 'victim-2.example.com' });
    await expectNothingSilenced(job, 'may be that of Chef node victim-2');
  });

  test('taking its hostname, or its name in Nagios, into its own node', async () => {
    for (const automatic of [{ hostname: 'victim' }, { nagios: { host_name: 'victim' } }]) {
      const job = await ended(`liar-${++next}`, automatic);
      await expectNothingSilenced(job, 'may be that of Chef node victim');
    }
  });

  test('naming one of another address', async () => {
    await expectNothingSilenced(await saidToEnd('liar-3', 'Front Desk'), 'has the address 10.9.9.8');
  });
});
