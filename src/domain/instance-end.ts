import { isAwsAccount, isAwsRegion } from './aws-location.ts';

/** What EC2 answered about one instance. */
export interface Ec2Answer {
  /** Undefined if EC2 does not know the instance. */
  state: string | undefined;
  /** Region that was asked. */
  region: string | undefined;
  /** Account that was asked: EC2 knows only the instances of this account. */
  account: string | undefined;
}

/** All instances that EC2 knows in a region, also those that ended within the last hour or so. */
export interface RegionInstances {
  /** Instance id -> state. */
  states: ReadonlyMap<string, string>;
  /** Region that was asked. */
  region: string;
  /** Account that was asked; undefined if AWS did not say it. */
  account: string | undefined;
}

/** What Auto Scaling answered about one instance. */
export interface AutoScalingAnswer {
  /** `LifecycleState`; undefined if Auto Scaling does not know the instance. */
  state: string | undefined;
  /** Name of the Auto Scaling group that the instance is in. */
  group: string | undefined;
}

/** What the Chef node says of itself. */
export interface NodeReport {
  account: string | undefined;
  region: string | undefined;
  /** When chef-client last ran there (`ohai_time`). */
  lastSeen: Date | undefined;
}

export interface Observed {
  /** Undefined if EC2 was not asked. */
  ec2?: Ec2Answer | undefined;
  /** Undefined if Auto Scaling was not asked. */
  autoScaling?: AutoScalingAnswer | undefined;
  /** Group that the lifecycle action names; undefined without a lifecycle action. */
  group?: string | undefined;
  /** Undefined if there is no node. */
  node?: NodeReport | undefined;
  now: Date;
}

export interface InstanceEnd {
  /** `ending`: Auto Scaling is terminating the instance, which runs until its lifecycle hooks are completed. */
  answer: 'ended' | 'ending' | 'alive' | 'unknown';
  /** One clause, such as `EC2 says terminated`. */
  because: string;
}

/** EC2 remembers a terminated instance for about an hour. */
const UNSEEN_MS = 2 * 3_600_000;

/**
 * Only `shutting-down` and `terminated` are final; a stopped instance can be started again.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
 */
const EC2_STATES: Record<string, 'ended' | 'alive'> = {
  pending: 'alive',
  running: 'alive',
  stopping: 'alive',
  stopped: 'alive',
  'shutting-down': 'ended',
  terminated: 'ended',
};

/**
 * All values of `LifecycleState`, of an instance in the group and in the group's warm pool (`Warmed:`).
 * Sources: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingInstanceDetails.html,
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html and the pages named below
 */
export const LIFECYCLE_STATES: Record<string, 'ending' | 'alive' | 'unknown'> = {
  // Being launched; waits for a launch hook; goes on after it.
  Pending: 'alive',
  'Pending:Wait': 'alive',
  'Pending:Proceed': 'alive',
  InService: 'alive',
  // AWS says that this value is not used.
  Quarantined: 'unknown',
  // On its way out for good; waits for a termination hook; goes on after it.
  Terminating: 'ending',
  'Terminating:Wait': 'ending',
  'Terminating:Proceed': 'ending',
  Terminated: 'ending',
  // A termination hook was abandoned, and the group keeps such instances: it runs until a person terminates it.
  // Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/manage-retained-instances.html
  'Terminating:Retained': 'alive',
  // Leaves the group, or is out of service for a time, and runs on.
  Detaching: 'alive',
  Detached: 'alive',
  EnteringStandby: 'alive',
  Standby: 'alive',
  // Gets a new root volume during an instance refresh, and runs on.
  // Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/replace-root-volume.html
  ReplacingRootVolume: 'alive',
  'ReplacingRootVolume:Wait': 'alive',
  'ReplacingRootVolume:Proceed': 'alive',
  RootVolumeReplaced: 'alive',
  // Enters the warm pool after its launch, or returns to it on scale-in: a termination hook is called for the return too.
  // Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/warm-pool-instance-lifecycle.html
  'Warmed:Pending': 'alive',
  'Warmed:Pending:Wait': 'alive',
  'Warmed:Pending:Proceed': 'alive',
  'Warmed:Pending:Retained': 'alive',
  // In the warm pool, ready to be used again.
  'Warmed:Stopped': 'alive',
  'Warmed:Running': 'alive',
  'Warmed:Hibernated': 'alive',
  // Leaves the warm pool for good.
  'Warmed:Terminating': 'ending',
  'Warmed:Terminating:Wait': 'ending',
  'Warmed:Terminating:Proceed': 'ending',
  'Warmed:Terminated': 'ending',
  'Warmed:Terminating:Retained': 'alive',
};

/** Answers whether an instance has ended. What is missing, incomplete or not understood never makes it ended. */
export function instanceEnd({ ec2, autoScaling, group, node, now }: Observed): InstanceEnd {
  const ec2Says = `EC2 says ${ec2?.state}`;
  const autoScalingSays = `Auto Scaling says ${autoScaling?.state}`;
  const byEc2 = meaningOf(EC2_STATES, ec2?.state);
  const byAutoScaling = meaningOf(LIFECYCLE_STATES, autoScaling?.state);
  const sameGroup = typeof group === 'string' && autoScaling?.group === group;

  if (byEc2 === 'ended') return { answer: 'ended', because: ec2Says };
  if (byAutoScaling === 'ending' && sameGroup) return { answer: 'ending', because: autoScalingSays };
  if (byEc2 === 'alive') return { answer: 'alive', because: ec2Says };
  if (byAutoScaling === 'alive') return { answer: 'alive', because: autoScalingSays };
  if (byAutoScaling === 'ending') {
    const because = `${autoScalingSays}, but in group ${autoScaling?.group} and not in ${group ?? 'one that a lifecycle action names'}`;
    return { answer: 'unknown', because };
  }
  if (!ec2 && !autoScaling) return { answer: 'unknown', because: 'neither EC2 nor Auto Scaling was asked' };
  if (autoScaling && autoScaling.state !== undefined) return notUnderstood(autoScalingSays);
  if (!ec2) return { answer: 'unknown', because: 'Auto Scaling does not know it, and EC2 was not asked' };
  if (ec2.state !== undefined) return notUnderstood(ec2Says);
  return forgottenByEc2(ec2, node, now);
}

/** Judges an instance that EC2 does not know: of another account or region, too new, or ended more than an hour ago. */
function forgottenByEc2(ec2: Ec2Answer, node: NodeReport | undefined, now: Date): InstanceEnd {
  const { region, account } = ec2;
  const because = `EC2 in ${region ?? 'an unknown region'} of account ${account ?? 'unknown'} does not know it`;
  const doubt = doubtOf(ec2, node, now);
  return doubt === undefined
    ? { answer: 'ended', because }
    : { answer: 'unknown', because: `${because}, but ${doubt}` };
}

/** Returns why it is not certain that EC2 was asked in the right place and has forgotten the instance. */
function doubtOf(
  { region, account }: Ec2Answer,
  node: NodeReport | undefined,
  now: Date,
): string | undefined {
  if (!isAwsAccount(account)) return 'AWS did not say which account was asked';
  if (!isAwsRegion(region)) return 'it is not known which region was asked';
  if (!node) return 'no Chef node says which account and region it is in';
  if (!isAwsAccount(node.account)) return 'the node does not say which account it is in (ec2.account_id)';
  if (!isAwsRegion(node.region)) return 'the node does not say which region it is in (ec2.region)';
  if (node.account !== account) return `the node is in account ${node.account}`;
  if (node.region !== region) return `the node is in ${node.region}`;
  return whyNotLongUnseen(node.lastSeen, now);
}

/** Returns why a node is not known to be unseen for more than two hours; undefined if it is. */
export function whyNotLongUnseen(lastSeen: Date | undefined, now: Date): string | undefined {
  const time = lastSeen instanceof Date ? lastSeen.getTime() : Number.NaN;
  if (Number.isNaN(time)) return 'it is not known when chef-client last ran on the node (ohai_time)';
  if (now.getTime() - time > UNSEEN_MS) return undefined;
  return `chef-client ran on the node at ${new Date(time).toISOString()}, less than 2 hours ago`;
}

function meaningOf<Meaning>(states: Record<string, Meaning>, state: unknown): Meaning | undefined {
  return typeof state === 'string' && Object.hasOwn(states, state) ? states[state] : undefined;
}

function notUnderstood(says: string): InstanceEnd {
  return { answer: 'unknown', because: `${says}, which this version does not understand` };
}
