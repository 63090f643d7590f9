import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AutoScalingClient } from '../../../../src/clients/aws/autoscaling.ts';
import { Ec2Client } from '../../../../src/clients/aws/ec2.ts';
import { goneAction } from '../../../../src/domain/gone-action.ts';
import { whyGone } from '../../../../src/jobs/steps/gone-action.ts';
import { type Ec2StandIn, startEc2StandIn } from '../../../support/ec2.ts';
import { instanceId } from '../../../support/termination.ts';

const HOUR = 3_600_000;
const ago = (hours: number) => new Date(Date.now() - hours * HOUR);
const INSTANCE = { group: 'web', hook: 'deregister', instanceId: instanceId(1) };

describe('a lifecycle action that Auto Scaling does not find', () => {
  let aws: Ec2StandIn;
  let autoScaling: AutoScalingClient;
  let ec2: Ec2Client;

  beforeEach(async () => {
    aws = await startEc2StandIn();
    autoScaling = new AutoScalingClient({ ...aws.options, pauseMs: 0 });
    ec2 = new Ec2Client({ ...aws.options, pauseMs: 0 });
  });

  afterEach(() => {
    autoScaling?.close();
    ec2?.close();
    aws?.stop();
  });

  /** Completes the action in vain, and looks why. */
  async function why(region?: string, announcedAt = ago(0)) {
    const instance = { ...INSTANCE, region };
    expect(await autoScaling.completeLifecycleAction(instance, 'CONTINUE')).toBe('gone');
    expect(await autoScaling.recordHeartbeat(instance)).toBe('gone');
    return whyGone(instance, announcedAt, { autoScaling, ec2 });
  }

  test.each(['Terminating', 'Terminating:Proceed', 'Terminated', 'InService', 'Resting'])(
    'is over if Auto Scaling shows its instance as %s, and EC2 is not asked',
    async state => {
      aws.groups.set(INSTANCE.instanceId, { group: 'web', state });
      expect(await why()).toBe('over');
      expect(aws.asked).toEqual([]);
    },
  );

  test('is over if EC2 still knows its instance', async () => {
    aws.instances.set(INSTANCE.instanceId, 'terminated');
    expect(await why()).toBe('over');
  });

  test('is not over in a region where neither Auto Scaling nor EC2 knows its instance', async () => {
    aws.groups.set(INSTANCE.instanceId, { group: 'web', state: 'Terminating:Wait' });
    aws.instances.set(INSTANCE.instanceId, 'running');
    aws.onlyIn.set(INSTANCE.instanceId, 'ap-south-1');
    expect(await why()).toBe('unknown-here');
    expect(await autoScaling.completeLifecycleAction({ ...INSTANCE, region: 'ap-south-1' }, 'CONTINUE')).toBe(
      'completed',
    );
  });

  test('is over 48 hours after it was announced, whoever knows its instance', async () => {
    expect(await why(undefined, ago(47.9))).toBe('unknown-here');
    expect(await why(undefined, ago(48.1))).toBe('over');
  });

  test.each(['Auto Scaling', 'EC2'])('is not called over if %s answers with an error', async service => {
    aws.refuseNext('ValidationError', 'not now', 400, service === 'EC2' ? 1 : 0);
    await expect(whyGone(INSTANCE, ago(72), { autoScaling, ec2 })).rejects.toMatchObject({
      code: 'rejected',
    });
  });
});

test('an instance that still waits in a hook of the same group is distinguished', () => {
  const now = new Date();
  const why = (state: string, group: string) =>
    goneAction({ autoScaling: { state, group }, group: 'web', announcedAt: now, now });
  expect(why('Terminating:Wait', 'web')).toBe('waiting');
  expect(why('Warmed:Terminating:Wait', 'web')).toBe('waiting');
  expect(why('Terminating:Wait', 'db')).toBe('over');
  expect(why('Pending:Wait', 'web')).toBe('over');
});
