/** What a value in a notice of AWS says about the instance: that it ends for good, or that it lives or may come back. */
type Meaning = 'ends' | 'lives';

/** What each known value of one field means. */
interface Field {
  name: string;
  meaning: (value: string) => Meaning | undefined;
  /** Whether a notice without the field is one that was sent before AWS added it, and is not uncertain. */
  optional?: boolean;
}

function field(name: string, values: Record<string, Meaning>, more: { optional?: boolean } = {}): Field {
  const known = new Map(Object.entries(values));
  return { name, meaning: value => known.get(value), ...more };
}

/** Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html */
const STATE = field('state', {
  pending: 'lives',
  running: 'lives',
  stopping: 'lives',
  stopped: 'lives',
  'shutting-down': 'ends',
  terminated: 'ends',
});

/** Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html */
const INSTANCE_ACTION = field('instance-action', { terminate: 'ends', stop: 'lives', hibernate: 'lives' });

/** Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-sns-notifications.html */
const EVENT = field('Event', {
  'autoscaling:EC2_INSTANCE_TERMINATE': 'ends',
  'autoscaling:EC2_INSTANCE_TERMINATE_ERROR': 'lives',
  'autoscaling:EC2_INSTANCE_LAUNCH': 'lives',
  'autoscaling:EC2_INSTANCE_LAUNCH_ERROR': 'lives',
  'autoscaling:TEST_NOTIFICATION': 'lives',
});

/** Source: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LifecycleHook.html */
const LIFECYCLE_TRANSITION = field('LifecycleTransition', {
  'autoscaling:EC2_INSTANCE_TERMINATING': 'ends',
  'autoscaling:EC2_INSTANCE_LAUNCHING': 'lives',
});

/**
 * How far an activity is. The notice's type says what the activity is, so that only two codes deny a termination; the
 * others say that it is not over, or belong to other activities. The first is not in AWS's list, but is sent while a
 * lifecycle hook waits.
 * Source: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html
 */
const STATUS_CODE = field(
  'StatusCode',
  {
    MidTerminatingLifecycleAction: 'ends',
    Successful: 'ends',
    InProgress: 'ends',
    MidLifecycleAction: 'ends',
    WaitingForELBConnectionDraining: 'ends',
    WaitingForConnectionDraining: 'ends',
    PreInService: 'ends',
    WaitingForInstanceId: 'ends',
    WaitingForInstanceWarmup: 'ends',
    PendingSpotBidPlacement: 'ends',
    WaitingForSpotInstanceRequestId: 'ends',
    WaitingForSpotInstanceId: 'ends',
    WaitingForInPlaceUpdateToStart: 'ends',
    InPlaceUpdateInProgress: 'ends',
    WaitingForInPlaceUpdateToFinalize: 'ends',
    Failed: 'lives',
    Cancelled: 'lives',
  },
  { optional: true },
);

/**
 * Where the instance goes; groups with a warm pool tell. `Origin`, where it comes from (`AutoScalingGroup`, `WarmPool`,
 * `EC2`), says nothing about its end and is not read.
 * Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/warm-pools-eventbridge-events.html
 */
const DESTINATION = field(
  'Destination',
  { EC2: 'ends', WarmPool: 'lives', AutoScalingGroup: 'lives' },
  { optional: true },
);

/**
 * Beginnings of the description. Auto Scaling calls it a termination, too, when an instance leaves its group alive.
 * Sources: the examples of `TerminateInstanceInAutoScalingGroup`, `DetachInstances`, `AttachInstances`, `EnterStandby` and
 * `ExitStandby` in https://docs.aws.amazon.com/autoscaling/ec2/APIReference/
 */
const DESCRIPTIONS: [beginning: string, meaning: Meaning][] = [
  ['Terminating EC2 instance: ', 'ends'],
  ['Terminating EC2 instance from warm pool: ', 'ends'],
  ['Detaching EC2 instance: ', 'lives'],
  ['Attaching an existing EC2 instance: ', 'lives'],
  ['Moving EC2 instance to Standby: ', 'lives'],
  ['Moving EC2 instance out of Standby: ', 'lives'],
  ['Launching a new EC2 instance', 'lives'],
];
const DESCRIPTION: Field = {
  name: 'Description',
  meaning: value => DESCRIPTIONS.find(([beginning]) => value.startsWith(beginning))?.[1],
  optional: true,
};

const ACTIVITY = [STATUS_CODE, DESTINATION, DESCRIPTION];

/** The fields that say whether the instance ends, by the form of the notice. */
export const FORMS = {
  stateChange: [STATE],
  interruption: [INSTANCE_ACTION],
  notification: [EVENT, ...ACTIVITY],
  activity: ACTIVITY,
  lifecycle: [LIFECYCLE_TRANSITION, ...ACTIVITY],
} satisfies Record<string, readonly Field[]>;

/** What a notice says: that the instance lives, or that it ends, perhaps not for certain. */
export type Verdict = { lives: true } | { lives: false; doubt?: string };

/**
 * Reads the fields of a notice. One that says that the instance lives decides; a value that AWS did not document is a
 * reason to ask EC2, and never one to take the notice for harmless.
 */
export function judge(notice: Record<string, unknown>, form: readonly Field[]): Verdict {
  const doubts: string[] = [];
  for (const { name, meaning, optional } of form) {
    const value = notice[name];
    const isMissing = value === undefined || value === null || value === '';
    if (isMissing && optional) continue;
    const says = typeof value === 'string' ? meaning(value) : undefined;
    if (says === 'lives') return { lives: true };
    if (says === undefined)
      doubts.push(isMissing ? `${name} is missing` : `${name} ${shown(value)} is not known`);
  }
  return { lives: false, ...(doubts.length > 0 && { doubt: doubts.join('; ') }) };
}

function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, 80);
}

/**
 * Events of EventBridge, by `source`, that say of no instance that it ended. The events about capacity reservations are
 * left out, since some of them announce ends, and so is `AWS API Call via CloudTrail`, which reports any call.
 * Sources: https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-ec2.html, events-ref-autoscaling.html and
 * events-ref-health.html
 */
const HARMLESS = new Map<unknown, ReadonlySet<unknown>>([
  [
    'aws.ec2',
    new Set([
      'EC2 Instance Rebalance Recommendation',
      'EC2 Spot Instance Rebalance Recommended',
      'EC2 Spot Instance Request Fulfillment',
      'EC2 Fast Launch State-change Notification',
      'EC2 AMI State Change',
      'EC2 AMI Available',
      'EC2 AMI Failed',
      'Launch Template Alias Change',
      'EBS Volume Notification',
      'EBS Snapshot Notification',
      'EBS Multi-Volume Snapshots Completion Status',
      'EBS Copy Snapshot Missed Completion Duration',
      'EBS Snapshot Block Public Access Enabled',
      'EBS Snapshot Block Public Access Disabled',
      'EBS Snapshot Acceleration State-change Notification',
      'EBS Fast Snapshot Restore State-change Notification',
    ]),
  ],
  [
    'aws.autoscaling',
    new Set([
      'EC2 Instance Launch Successful',
      'EC2 Instance Launch Unsuccessful',
      'EC2 Instance-launch Lifecycle Action',
      'EC2 Instance Terminate Unsuccessful',
      'EC2 Instance Detach Successful',
      'EC2 Instance Detach Unsuccessful',
      'EC2 Auto Scaling Instance Refresh Started',
      'EC2 Auto Scaling Instance Refresh Started Baking',
      'EC2 Auto Scaling Instance Refresh Checkpoint Reached',
      'EC2 Auto Scaling Instance Refresh Succeeded',
      'EC2 Auto Scaling Instance Refresh Failed',
      'EC2 Auto Scaling Instance Refresh Cancelled',
      'EC2 Auto Scaling Instance Refresh Rollback Started',
      'EC2 Auto Scaling Instance Refresh Rollback Succeeded',
      'EC2 Auto Scaling Instance Refresh Rollback Failed',
    ]),
  ],
  ['aws.health', new Set(['AWS Health Event', 'AWS Health Abuse Event'])],
]);

export function isHarmless(source: unknown, detailType: unknown): boolean {
  return HARMLESS.get(source)?.has(detailType) ?? false;
}
