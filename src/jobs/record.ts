import type { LifecycleAction, News } from '../event.ts';
import { type Job, type JobKind, type JobState, STEP_NAMES, type StepName, type StepRecord } from '../job.ts';

/** What the steps of a job have learnt so far, kept for those after them and for the next attempt. */
export interface Facts {
  /** Whether the Chef server had the node when it was looked for. */
  inChef?: boolean;
  fqdn?: string;
  /** The instance that the node was when it was found. */
  instance?: string;
  /** AWS region that the node says it is in. */
  region?: string;
  /** When EC2 was first asked and did not answer, in milliseconds since 1970. */
  ec2AwaySince?: number | undefined;
  /** When EC2 first said that the instance lives, in milliseconds since 1970. */
  ec2AliveSince?: number | undefined;
  /** When it was seen that node and client are gone, in milliseconds since 1970. */
  goneAt?: number;
  /** How often the node came back after that and was removed again. */
  returns?: number;
  downtime?: AskedDowntime | undefined;
  archive?: string;
  /** What a restore found missing in Chef. */
  lost?: { node: boolean; client: boolean };
  /** Ids of the archives that it is restored from. */
  from?: { node: string | undefined; client: string | undefined };
}

/** Remembered before it is sent, so that a second attempt looks for it first, and with its end once Nagios took it. */
export interface AskedDowntime {
  host: string;
  submittedAt: string;
  end?: string;
}

/** A job as those see it who work on it. */
export interface JobRecord extends Job {
  /** Which of its tokens is good; an older run has nothing to say any more. */
  run: number;
  /** Who began it last; another one that had it before has nothing to say any more. */
  worker?: string;
  /** Its place among all jobs, by acceptance. */
  seq: number;
  /** The instance waits for this action to be completed. */
  lifecycle?: LifecycleAction;
  /** When its event was published. */
  publishedAt: Date;
  /** `traceparent` of the span in which its event was taken in. */
  trace?: string;
  facts: Facts;
}

export type JobError = NonNullable<Job['error']>;

/** A job as its hash in Redis has it; undefined for one that is not there. */
export function toRecord(id: string, hash: Record<string, string>): JobRecord | undefined {
  if (!hash['kind']) return undefined;
  const step = (name: StepName) => hash[`step:${name}`];
  return {
    id,
    kind: hash['kind'] as JobKind,
    state: hash['state'] as JobState,
    node: hash['node'] ?? null,
    instanceId: hash['instanceId'] ?? null,
    source: hash['source'] as News['source'],
    event: JSON.parse(hash['event'] ?? '{}'),
    ...(hash['requestedBy'] && { requestedBy: hash['requestedBy'] }),
    receivedAt: hash['receivedAt'] ?? '',
    finishedAt: hash['finishedAt'] ?? null,
    attempts: Number(hash['attempts']),
    steps: STEP_NAMES.flatMap(name => (step(name) ? [JSON.parse(step(name) ?? '') as StepRecord] : [])),
    ...(hash['error'] && { error: JSON.parse(hash['error']) as JobError }),
    run: Number(hash['run'] ?? 0),
    ...(hash['worker'] && { worker: hash['worker'] }),
    seq: Number(hash['seq']),
    publishedAt: new Date(Number(hash['publishedAt'])),
    ...(hash['trace'] && { trace: hash['trace'] }),
    ...(hash['approvedBy'] && { approvedBy: hash['approvedBy'] }),
    ...(hash['approvedFor'] && { approvedFor: JSON.parse(hash['approvedFor']) as string[] }),
    ...(hash['lifecycle'] && { lifecycle: JSON.parse(hash['lifecycle']) as LifecycleAction }),
    facts: JSON.parse(hash['facts'] ?? '{}'),
  };
}
