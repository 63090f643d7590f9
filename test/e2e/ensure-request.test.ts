import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyPair, nodeOf, registerNode } from '../support/chef-server.ts';
import { type EnsureFixture, startEnsureFixture, stepStates } from '../support/ensure-fixture.ts';
import { until } from '../support/process.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';

let fixture: EnsureFixture;

beforeAll(async () => {
  fixture = await startEnsureFixture();
});

afterAll(() => fixture?.stop());

describe('an ensure', () => {
  test('of a node that lives changes nothing, and says so', async () => {
    const name = 'alive';
    await registerNode(fixture.world.chef, { name, instanceId: instanceId(3) });
    const before = await fixture.whole(name);
    const { pendingDeletes } = await fixture.api.trigger();
    const job = await fixture.ask('ensure', name, { runList: ['recipe[other]'] });
    expect(job.steps.find(step => step.name === 'find')?.note).toContain('live in Chef: nothing is changed');
    expect(stepStates(job)).toMatchObject({
      'recreate-client': 'skipped',
      'recreate-node': 'skipped',
      'cancel-downtime': 'skipped',
    });
    expect(await fixture.whole(name)).toEqual(before);
    expect((await fixture.api.trigger()).pendingDeletes).toBeLessThanOrEqual(pendingDeletes);
  });

  test('of a node whose client alone is gone restores the client, and leaves the node as it is now', async () => {
    const name = 'client-gone';
    const { privateKey } = await registerNode(fixture.world.chef, { name, ownKey: true });
    await fixture.ask('delete', name);
    await fixture.ask('ensure', name);
    await fixture.world.chef.chef.updateNode({ ...nodeOf({ name }), normal: { newer: true } });
    const { node } = await fixture.whole(name);
    await fixture.world.chef.chef.deleteClient(name);
    await fixture.ask('ensure', name);
    expect((await fixture.whole(name)).node).toBe(node);
    await fixture.saveAsHost(name, privateKey);
  });

  test('of another instance than was archived is held, and a person can choose', async () => {
    const name = 'reused';
    const { privateKey } = await registerNode(fixture.world.chef, { name, instanceId: instanceId(4) });
    await fixture.api.finished(await fixture.publish(terminationNotice(instanceId(4))));
    const id = await fixture.wantsBack(name, instanceId(5), privateKey);
    const job = await fixture.api.finished(id, 'held');
    const archive = await fixture.newestArchive(name);
    expect(job.error?.message).toContain(`"archive": "${archive}"`);
    await fixture.expectGone(name);
    await until('the alert', () =>
      fixture.webhook.alerts.find(alert => alert.name === 'job-held' && alert.node === name),
    );
    const refused = await fixture.api.finished(
      await fixture.api.event({ kind: 'ensure', node: name, instanceId: instanceId(5), archive }),
      'held',
    );
    expect(refused.error?.message).toContain(instanceId(4));
    await fixture.ask('ensure', name, { archive });
    expect((await fixture.whole(name)).node).not.toBeNull();
  });

  test('where a new machine has the client’s name leaves that machine alone', async () => {
    const name = 'rebuilt';
    await registerNode(fixture.world.chef, { name });
    await fixture.ask('delete', name);
    await fixture.world.chef.chef.createClient({ name, public_key: keyPair().publicKey });
    const { client } = await fixture.whole(name);
    const job = await fixture.api.finished(await fixture.api.event({ kind: 'ensure', node: name }), 'held');
    expect(job.error?.message).toContain('new machine');
    expect(await fixture.whole(name)).toEqual({ node: null, client });
  });

  test('without an archive makes the node that the request describes, and says what is left to do', async () => {
    const name = 'described';
    const job = await fixture.ask('ensure', name, {
      runList: ['recipe[base]', 'role[web]'],
      environment: 'prod',
    });
    expect(await fixture.world.chef.chef.getNode(name)).toMatchObject({
      chef_environment: 'prod',
      run_list: ['recipe[base]', 'role[web]'],
    });
    expect(job.steps.find(step => step.name === 'recreate-client')).toMatchObject({
      state: 'skipped',
      note: expect.stringContaining('knife bootstrap'),
    });
  });

  test('without an archive or a description fails, and says what to do', async () => {
    const job = await fixture.api.finished(
      await fixture.api.event({ kind: 'ensure', node: 'never-seen' }),
      'failed',
    );
    expect(job.error).toMatchObject({
      code: 'rejected',
      message: expect.stringMatching(
        /no archive of Chef node never-seen.*runList nor environment.*POST \/events/,
      ),
    });
    await until('the alert', () =>
      fixture.webhook.alerts.find(alert => alert.name === 'job-failed' && alert.node === 'never-seen'),
    );
  });

  test('from an archive that is not there, or another node’s, is refused at once', async () => {
    await registerNode(fixture.world.chef, { name: 'archived' });
    await fixture.ask('delete', 'archived');
    const archive = await fixture.newestArchive('archived');
    const post = (body: object) => fixture.api.request('POST', '/events', body);
    const problem = (detail: string) => ({
      status: 400,
      body: expect.objectContaining({ field: 'archive', detail: expect.stringContaining(detail) }),
    });
    expect(await post({ kind: 'ensure', node: 'other', archive })).toEqual(
      problem('is of node archived, not of other'),
    );
    const unknown = archive.replace(/.{8}$/, '00000000');
    expect(await post({ kind: 'ensure', node: 'archived', archive: unknown })).toEqual(
      problem('there is no archive'),
    );
    expect(await post({ kind: 'delete', node: 'archived', archive })).toEqual(problem('kind ensure only'));
  });
});
