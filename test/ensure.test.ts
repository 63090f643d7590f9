import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChefClient } from '../src/clients/chef.ts';
import type { JsonObject } from '../src/clients/chef-node.ts';
import type { Job } from '../src/job.ts';
import type { Service } from '../src/service.ts';
import { type ApiClient, apiClient } from './parts/api-client.ts';
import { keyPair, nodeOf, registerNode } from './parts/chef-server.ts';
import { signHostMessage } from './parts/host-message.ts';
import { freshDirectory, until } from './parts/process.ts';
import { startServiceProcess, startTestService, testEnvironment } from './parts/service.ts';
import { startWebhook, type Webhook } from './parts/webhook.ts';
import { instanceId, startWorld, terminationNotice, type World } from './parts/world.ts';

let world: World;
let webhook: Webhook;
let env: NodeJS.ProcessEnv;
let service: Service;
let api: ApiClient;

beforeAll(async () => {
  [world, webhook] = await Promise.all([startWorld({ hosts: ['in-downtime'] }), startWebhook()]);
  env = testEnvironment({ ...world.env, ALERT_WEBHOOK_URL: webhook.url });
  service = await startTestService(env);
  api = apiClient(service.url);
});

afterAll(async () => {
  await service?.close('end of the tests');
  await world?.stop();
  webhook?.stop();
});

function finished(id: string, state: Job['state'] = 'done'): Promise<Job> {
  return until(`job ${id} to be ${state}`, async () => {
    const job = await api.job(id);
    return job.state === state && job;
  });
}

async function ask(kind: 'delete' | 'ensure', node: string, more: object = {}): Promise<Job> {
  return finished(await api.event({ kind, node, ...more }));
}

async function publish(message: object): Promise<string> {
  const { publisher } = world;
  const { status, body } = await publisher.deliver(publisher.envelope(message), `${service.url}/sns`);
  expect(status).toBe(200);
  return (JSON.parse(body) as { jobId: string }).jobId;
}

/** A host's own message; its client is gone, so it is believed by the key that was archived. */
function wantsBack(name: string, instance: string, privateKey: string): object {
  const message = { type: 'registration', method: 'ensure', chef_name: name, instance_id: instance };
  return signHostMessage(message, { privateKey, topicArn: world.publisher.topicArn });
}

function steps(job: Job): Record<string, string> {
  return Object.fromEntries(job.steps.map(({ name, state }) => [name, state]));
}

/** What Chef has of a host, as text. */
async function whole(name: string) {
  const { node, client } = await world.chef.chef.snapshot(name);
  return { node, client };
}

async function expectGone(name: string): Promise<void> {
  expect(await whole(name)).toEqual({ node: null, client: null });
}

async function newestArchive(node: string): Promise<string> {
  const { body } = await api.request('GET', `/archives?node=${node}&limit=1`);
  return (body as { archives: { id: string }[] }).archives[0]?.id ?? '';
}

/** Saves the node again, as the host's own chef-client does at the end of its run. */
async function saveAsHost(name: string, privateKey: string): Promise<void> {
  const host = new ChefClient({ url: world.chef.url, clientName: name, key: privateKey });
  try {
    const node = await host.getNode(name);
    if (!node) throw new Error(`${name} does not see its node`);
    expect(await host.updateNode({ ...node, normal: { saved: true } })).toBe('updated');
  } finally {
    await host.close();
  }
  expect((await world.chef.chef.getNode(name))?.normal).toEqual({ saved: true });
}

function deep(levels: number): JsonObject {
  return levels === 0 ? { leaf: [1, 1.5, true, null, 'x'] } : { level: deep(levels - 1), n: levels };
}

const KINDS: [string, JsonObject][] = [
  [
    'unicode',
    { normal: { greeting: 'Grüße, 世界 \u{1f600} \u2028 </script> & "quoted" \\ \t', tags: ['ä'] } },
  ],
  ['deep', { automatic: deep(60), override: deep(20), default: { a: { b: deep(5) } } }],
  ['policyfile', { automatic: { policy_name: 'web', policy_group: 'prod', policy_revision: 'c0ffee' } }],
  [
    'large',
    {
      automatic: {
        packages: Object.fromEntries(
          Array.from({ length: 9_000 }, (_, n) => [
            `p-${n}`,
            { version: `1.${n}`, 'long-description': 'x'.repeat(60) },
          ]),
        ),
      },
    },
  ],
];

describe('a node that was deleted', () => {
  test.each(KINDS)(
    'with %s content is restored byte for byte, and its old key saves it again',
    async (name, fields) => {
      const { chef } = world.chef;
      const { publicKey, privateKey } = keyPair();
      await chef.createClient({ name, public_key: publicKey });
      await chef.createNode({ ...nodeOf({ name, environment: 'prod' }), ...fields });
      const before = await whole(name);
      if (name === 'large') expect(before.node?.length).toBeGreaterThan(900_000);

      await ask('delete', name);
      await expectGone(name);
      const job = await ask('ensure', name);
      expect(steps(job)).toMatchObject({
        alert: 'done',
        find: 'done',
        'recreate-client': 'done',
        'recreate-node': 'done',
      });
      expect(await whole(name)).toEqual(before);
      await saveAsHost(name, privateKey);
    },
  );

  test('by its own message comes back, is told of, out of downtime, and chef-client runs once more', async () => {
    const name = 'in-downtime';
    const { privateKey } = await registerNode(world.chef, { name, instanceId: instanceId(1) });
    const before = await whole(name);
    const deletion = await publish(terminationNotice(instanceId(1)));
    await finished(deletion);
    const ours = async () =>
      (await world.nagios.downtimes()).filter(({ comment }) => comment.includes(deletion));
    expect((await ours()).length).toBeGreaterThan(0);
    await until('the run after the deletion', async () => (await api.trigger()).state === 'idle');

    const id = await publish(wantsBack(name, instanceId(1), privateKey));
    const job = await finished(id);
    expect(steps(job)).toEqual({
      alert: 'done',
      find: 'done',
      'recreate-client': 'done',
      'recreate-node': 'done',
      'cancel-downtime': 'done',
    });
    expect(await whole(name)).toEqual(before);
    await until('the downtime to be gone', async () => (await ours()).length === 0);
    const restoredAt = job.steps.find(step => step.name === 'recreate-node')?.at ?? '';
    await until('the run after the restore', async () => {
      const { state, lastRun } = await api.trigger();
      return state === 'idle' && lastRun && lastRun.startedAt > restoredAt;
    });
    const told = await until('the alert', () => webhook.alerts.find(alert => alert.job === id));
    expect(told).toMatchObject({ name: 'ensure-requested', node: name, instanceId: instanceId(1) });
  });

  test('twice is restored twice, each time as it was then, and every archive is kept', async () => {
    const name = 'twice';
    await registerNode(world.chef, { name, normal: { time: 'first' } });
    const first = await whole(name);
    await ask('delete', name);
    const chosen = await newestArchive(name);
    await ask('ensure', name);
    expect(await whole(name)).toEqual(first);

    await world.chef.chef.updateNode({ ...nodeOf({ name }), normal: { time: 'second' } });
    const second = await whole(name);
    await ask('delete', name);
    await ask('ensure', name);
    expect(await whole(name)).toEqual(second);

    await ask('delete', name);
    await ask('ensure', name, { archive: chosen });
    expect(await whole(name)).toEqual(first);
    const { body } = await api.request('GET', `/archives?node=${name}`);
    expect((body as { archives: object[] }).archives).toHaveLength(3);
  });

  test('by half leaves its halves in two archives, and is restored from both', async () => {
    const name = 'halves';
    await registerNode(world.chef, { name });
    const before = await whole(name);
    await world.chef.chef.deleteNode(name);
    await ask('delete', name);
    await world.chef.chef.createNode(JSON.parse(before.node ?? ''));
    await ask('delete', name);
    await expectGone(name);
    await ask('ensure', name);
    expect(await whole(name)).toEqual(before);
  });

  test('while the restore is asked for is deleted first: events are worked in the order they came', async () => {
    const name = 'in-order';
    await registerNode(world.chef, { name, instanceId: instanceId(2) });
    const before = await whole(name);
    const order: Job[] = [];
    world.chef.child.kill('SIGSTOP');
    try {
      // The notice knows only the instance, the request only the name: that they meet shows while they are worked.
      const deletion = await publish(terminationNotice(instanceId(2)));
      await until('it to run', async () => (await api.job(deletion)).state === 'running');
      const restore = await api.event({ kind: 'ensure', node: name });
      world.chef.child.kill('SIGCONT');
      order.push(await finished(deletion), await finished(restore));
    } finally {
      world.chef.child.kill('SIGCONT');
    }
    const at = (job: Job | undefined, step: string) => job?.steps.find(({ name }) => name === step)?.at ?? '';
    expect(at(order[0], 'delete-node') < at(order[1], 'recreate-client')).toBe(true);
    expect(await whole(name)).toEqual(before);
    // What is told of the instance from now on is a new death of it.
    const again = await publish(terminationNotice(instanceId(2)));
    expect(again).not.toBe(order[0]?.id);
    await finished(again);
    await expectGone(name);
  });

  test('is restored whole by a worker that is killed with -9 again and again', {
    timeout: 90_000,
  }, async () => {
    const names = Array.from({ length: 6 }, (_, n) => `killed-${n}`);
    for (const name of names) await registerNode(world.chef, { name, normal: { name } });
    const before = await Promise.all(names.map(whole));
    await Promise.all(names.map(name => ask('delete', name)));
    await service.close('a process to be killed takes over');
    const own = { ...env, LOG_LEVEL: 'info' };
    let process = await startServiceProcess(own);
    try {
      api = apiClient(process.url);
      const ids = await Promise.all(names.map(node => api.event({ kind: 'ensure', node })));
      for (const word of ['"step":"alert"', '"step":"recreate-client"']) {
        await until(`the log to say ${word}`, () => process.output().includes(word));
        await process.stop('SIGKILL');
        process = await startServiceProcess(own);
      }
      api = apiClient(process.url);
      for (const id of ids)
        await until(`job ${id}`, async () => (await api.job(id)).state === 'done', 60_000);
      expect(await Promise.all(names.map(whole))).toEqual(before);
    } finally {
      await process.stop();
      service = await startTestService(env);
      api = apiClient(service.url);
    }
  });
});

describe('an ensure', () => {
  test('of a node that lives changes nothing, and says so', async () => {
    const name = 'alive';
    await registerNode(world.chef, { name, instanceId: instanceId(3) });
    const before = await whole(name);
    const { pendingDeletes } = await api.trigger();
    const job = await ask('ensure', name, { runList: ['recipe[other]'] });
    expect(job.steps.find(step => step.name === 'find')?.note).toContain('live in Chef: nothing is changed');
    expect(steps(job)).toMatchObject({
      'recreate-client': 'skipped',
      'recreate-node': 'skipped',
      'cancel-downtime': 'skipped',
    });
    expect(await whole(name)).toEqual(before);
    expect((await api.trigger()).pendingDeletes).toBeLessThanOrEqual(pendingDeletes);
  });

  test('of a node whose client alone is gone restores the client, and leaves the node as it is now', async () => {
    const name = 'client-gone';
    const { privateKey } = await registerNode(world.chef, { name, ownKey: true });
    await ask('delete', name);
    await ask('ensure', name);
    await world.chef.chef.updateNode({ ...nodeOf({ name }), normal: { newer: true } });
    const { node } = await whole(name);
    await world.chef.chef.deleteClient(name);
    await ask('ensure', name);
    expect((await whole(name)).node).toBe(node);
    await saveAsHost(name, privateKey);
  });

  test('of another instance than was archived is held, and a person can choose', async () => {
    const name = 'reused';
    const { privateKey } = await registerNode(world.chef, { name, instanceId: instanceId(4) });
    await finished(await publish(terminationNotice(instanceId(4))));
    const id = await publish(wantsBack(name, instanceId(5), privateKey));
    const job = await finished(id, 'held');
    const archive = await newestArchive(name);
    expect(job.error?.message).toContain(`"archive": "${archive}"`);
    await expectGone(name);
    await until('the alert', () =>
      webhook.alerts.find(alert => alert.name === 'job-held' && alert.node === name),
    );
    const refused = await finished(
      await api.event({ kind: 'ensure', node: name, instanceId: instanceId(5), archive }),
      'held',
    );
    expect(refused.error?.message).toContain(instanceId(4));
    await ask('ensure', name, { archive });
    expect((await whole(name)).node).not.toBeNull();
  });

  test('where a new machine has the client’s name leaves that machine alone', async () => {
    const name = 'rebuilt';
    await registerNode(world.chef, { name });
    await ask('delete', name);
    await world.chef.chef.createClient({ name, public_key: keyPair().publicKey });
    const { client } = await whole(name);
    const job = await finished(await api.event({ kind: 'ensure', node: name }), 'held');
    expect(job.error?.message).toContain('new machine');
    expect(await whole(name)).toEqual({ node: null, client });
  });

  test('without an archive makes the node that the request describes, and says what is left to do', async () => {
    const name = 'described';
    const job = await ask('ensure', name, { runList: ['recipe[base]', 'role[web]'], environment: 'prod' });
    expect(await world.chef.chef.getNode(name)).toMatchObject({
      chef_environment: 'prod',
      run_list: ['recipe[base]', 'role[web]'],
    });
    expect(job.steps.find(step => step.name === 'recreate-client')).toMatchObject({
      state: 'skipped',
      note: expect.stringContaining('knife bootstrap'),
    });
  });

  test('without an archive or a description fails, and says what to do', async () => {
    const job = await finished(await api.event({ kind: 'ensure', node: 'never-seen' }), 'failed');
    expect(job.error).toMatchObject({
      code: 'rejected',
      message: expect.stringMatching(
        /no archive of Chef node never-seen.*runList nor environment.*POST \/events/,
      ),
    });
    await until('the alert', () =>
      webhook.alerts.find(alert => alert.name === 'job-failed' && alert.node === 'never-seen'),
    );
  });

  test('from an archive that is not there, or another node’s, is refused at once', async () => {
    const archive = await newestArchive('twice');
    const ask = (body: object) => api.request('POST', '/events', body);
    const problem = (detail: string) => ({
      status: 400,
      body: expect.objectContaining({ field: 'archive', detail: expect.stringContaining(detail) }),
    });
    expect(await ask({ kind: 'ensure', node: 'halves', archive })).toEqual(
      problem('is of node twice, not of halves'),
    );
    const unknown = archive.replace(/.{8}$/, '00000000');
    expect(await ask({ kind: 'ensure', node: 'twice', archive: unknown })).toEqual(
      problem('there is no archive'),
    );
    expect(await ask({ kind: 'delete', node: 'twice', archive })).toEqual(problem('kind ensure only'));
  });
});

describe('an archive that cannot be written', () => {
  test('keeps the node: the job waits, people are told, and it goes on once the archive can be written', async () => {
    const name = 'unsaved';
    await registerNode(world.chef, { name });
    const before = await whole(name);
    const directory = freshDirectory('full');
    writeFileSync(join(directory, 'taken'), 'a file, where the archive’s folder should be');
    const other = testEnvironment({
      ...world.env,
      ALERT_WEBHOOK_URL: webhook.url,
      ARCHIVE_URL: `file://${directory}/taken`,
    });
    const full = await startTestService(other);
    try {
      const there = apiClient(full.url);
      const id = await there.event({ kind: 'delete', node: name });
      const job = await until('the job to be tried again', async () => {
        const found = await there.job(id);
        return found.state === 'retrying' && found;
      });
      expect(job.error?.message).toContain(`node ${name} was not archived`);
      expect(await whole(name)).toEqual(before);
      const told = await until('the alert', () => webhook.alerts.find(alert => alert.name === 'jobs-paused'));
      expect(told.whatHappened).toContain('part of the path is a file');
    } finally {
      await full.close('end of the test');
    }
    mkdirSync(join(directory, 'free'));
    const again = await startTestService({ ...other, ARCHIVE_URL: `file://${directory}/free` });
    try {
      await until(
        'the job to be done',
        async () => (await apiClient(again.url).jobs()).every(job => job.state === 'done'),
        40_000,
      );
      await expectGone(name);
    } finally {
      await again.close('end of the test');
    }
  });
});
