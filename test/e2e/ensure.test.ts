import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Job } from '../../src/domain/job.ts';
import { nodeOf, registerNode } from '../support/chef-server.ts';
import { type EnsureFixture, startEnsureFixture, stepStates } from '../support/ensure-fixture.ts';
import { until } from '../support/process.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';

let fixture: EnsureFixture;

beforeAll(async () => {
  fixture = await startEnsureFixture(['in-downtime']);
});

afterAll(() => fixture?.stop());

describe('a node that was deleted', () => {
  test('by its own message comes back, is announced, out of downtime, and chef-client runs once more', async () => {
    const name = 'in-downtime';
    const { privateKey } = await registerNode(fixture.world.chef, { name, instanceId: instanceId(1) });
    const before = await fixture.whole(name);
    const deletion = await fixture.publish(terminationNotice(instanceId(1)));
    await fixture.api.finished(deletion);
    const ours = async () =>
      (await fixture.world.nagios.downtimes()).filter(({ comment }) => comment.includes(deletion));
    expect((await ours()).length).toBeGreaterThan(0);
    await until('the run after the deletion', async () => (await fixture.api.trigger()).state === 'idle');

    const id = await fixture.wantsBack(name, instanceId(1), privateKey);
    const job = await fixture.api.finished(id);
    expect(stepStates(job)).toEqual({
      alert: 'done',
      find: 'done',
      'recreate-client': 'done',
      'recreate-node': 'done',
      'cancel-downtime': 'done',
    });
    expect(await fixture.whole(name)).toEqual(before);
    await until('the downtime to be gone', async () => (await ours()).length === 0);
    const restoredAt = job.steps.find(step => step.name === 'recreate-node')?.at ?? '';
    await until('the run after the restore', async () => {
      const { state, lastRun } = await fixture.api.trigger();
      return state === 'idle' && lastRun && lastRun.startedAt > restoredAt;
    });
    const told = await until('the alert', () => fixture.webhook.alerts.find(alert => alert.job === id));
    expect(told).toMatchObject({ name: 'ensure-requested', node: name, instanceId: instanceId(1) });
  });

  test('twice is restored twice, each time as it was then, and every archive is kept', async () => {
    const name = 'twice';
    await registerNode(fixture.world.chef, { name, normal: { time: 'first' } });
    const first = await fixture.whole(name);
    await fixture.ask('delete', name);
    const chosen = await fixture.newestArchive(name);
    await fixture.ask('ensure', name);
    expect(await fixture.whole(name)).toEqual(first);

    await fixture.world.chef.chef.updateNode({ ...nodeOf({ name }), normal: { time: 'second' } });
    const second = await fixture.whole(name);
    await fixture.ask('delete', name);
    await fixture.ask('ensure', name);
    expect(await fixture.whole(name)).toEqual(second);

    await fixture.ask('delete', name);
    await fixture.ask('ensure', name, { archive: chosen });
    expect(await fixture.whole(name)).toEqual(first);
    const { body } = await fixture.api.request('GET', `/archives?node=${name}`);
    expect((body as { archives: object[] }).archives).toHaveLength(3);
  });

  test('by half leaves its halves in two archives, and is restored from both', async () => {
    const name = 'halves';
    await registerNode(fixture.world.chef, { name });
    const before = await fixture.whole(name);
    await fixture.world.chef.chef.deleteNode(name);
    await fixture.ask('delete', name);
    await fixture.world.chef.chef.createNode(JSON.parse(before.node ?? ''));
    await fixture.ask('delete', name);
    await fixture.expectGone(name);
    await fixture.ask('ensure', name);
    expect(await fixture.whole(name)).toEqual(before);
  });

  test('while the restore is asked for is deleted first: events are worked in the order they came', async () => {
    const name = 'in-order';
    await registerNode(fixture.world.chef, { name, instanceId: instanceId(2) });
    const before = await fixture.whole(name);
    const order: Job[] = [];
    fixture.world.chef.child.kill('SIGSTOP');
    try {
      // The notice knows only the instance, the request only the name: that they meet shows while they are worked.
      const deletion = await fixture.publish(terminationNotice(instanceId(2)));
      await until('it to run', async () => (await fixture.api.job(deletion)).state === 'running');
      const restore = await fixture.api.event({ kind: 'ensure', node: name });
      fixture.world.chef.child.kill('SIGCONT');
      order.push(await fixture.api.finished(deletion), await fixture.api.finished(restore));
    } finally {
      fixture.world.chef.child.kill('SIGCONT');
    }
    const at = (job: Job | undefined, step: string) => job?.steps.find(({ name }) => name === step)?.at ?? '';
    expect(at(order[0], 'delete-node') < at(order[1], 'recreate-client')).toBe(true);
    expect(await fixture.whole(name)).toEqual(before);
    // What is announced the instance from now on is a new termination of it.
    const again = await fixture.publish(terminationNotice(instanceId(2)));
    expect(again).not.toBe(order[0]?.id);
    await fixture.api.finished(again);
    await fixture.expectGone(name);
  });
});
