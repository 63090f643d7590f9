import type { AutoScalingClient, WaitingInstance } from '../../clients/aws/autoscaling.ts';
import type { Ec2Client } from '../../clients/aws/ec2.ts';
import { type GoneAction, goneAction } from '../../domain/gone-action.ts';

interface Clients {
  autoScaling: Pick<AutoScalingClient, 'instanceState'>;
  ec2: Pick<Ec2Client, 'instanceState'>;
}

/**
 * Finds out why a lifecycle action is `gone`, which alone is not a success: Auto Scaling says the same in the wrong region or account.
 * @param announcedAt when the action was announced
 * @throws AppError if Auto Scaling or EC2 cannot be asked
 */
export async function whyGone(
  { instanceId, group, region }: WaitingInstance,
  announcedAt: Date,
  clients: Clients,
): Promise<GoneAction> {
  const autoScaling = await clients.autoScaling.instanceState(instanceId, region);
  const ec2 =
    autoScaling.state === undefined ? await clients.ec2.instanceState(instanceId, region) : undefined;
  return goneAction({ autoScaling, ec2, group, announcedAt, now: new Date() });
}
