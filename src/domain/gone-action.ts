import type { AutoScalingAnswer, Ec2Answer } from './instance-end.ts';

/**
 * Why Auto Scaling knows no such lifecycle action. `over`: it was completed or timed out. `waiting`: the instance still waits in a
 * termination hook, another one of its group or this one, whose action Auto Scaling may not have found yet. `unknown-here`:
 * neither Auto Scaling nor EC2 knows the instance, so the region or the account is most likely the wrong one.
 */
export type GoneAction = 'over' | 'waiting' | 'unknown-here';

interface Observed {
  autoScaling: AutoScalingAnswer;
  /** Undefined if EC2 was not asked, which is needed only if Auto Scaling does not know the instance. */
  ec2?: Ec2Answer | undefined;
  /** Of the action. */
  group: string;
  /** When the action was announced. */
  announcedAt: Date;
  now: Date;
}

/**
 * A hook waits at most 48 hours.
 * Source: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RecordLifecycleActionHeartbeat.html
 */
const LONGEST_WAIT_MS = 48 * 3_600_000;

/**
 * Source for `waiting`, when the action exists: https://github.com/PrairieLearn/PrairieLearn/pull/15586 saw Auto Scaling deny an
 * action seconds after it had been announced, and complete it later.
 */
export function goneAction({ autoScaling, ec2, group, announcedAt, now }: Observed): GoneAction {
  const { state } = autoScaling;
  const waits = state === 'Terminating:Wait' || state === 'Warmed:Terminating:Wait';
  if (waits && autoScaling.group === group) return 'waiting';
  if (state !== undefined || ec2?.state !== undefined) return 'over';
  return now.getTime() - announcedAt.getTime() > LONGEST_WAIT_MS ? 'over' : 'unknown-here';
}
