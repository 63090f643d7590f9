import type { InboundEvent, LifecycleAction } from '../domain/event.ts';
import type { Evidence } from '../domain/evidence.ts';
import {
  type Approval,
  type Job,
  type JobKind,
  type JobResult,
  type JobState,
  type Machine,
  STEP_NAMES,
  type StepName,
  type StepRecord,
} from '../domain/job.ts';

/** What the steps of a job have learnt so far, kept for those after them and for the next attempt. */
export interface Facts {
  /** Whether the Chef server had the node when it was looked for. */
  inChef?: boolean;
  fqdn?: string;
  hostname?: string;
  /** Name that the node says its monitor knows it by (`nagios.host_name`). */
  nagiosHost?: string;
  /** IP addresses and DNS names that the node says it has. */
  addresses?: string[];
  /** The instance that the node was when it was found. */
  instance?: string;
  /** AWS region that the node says it is in. */
  region?: string;
  /** AWS account that the node says it is in. */
  account?: string;
  /** Fingerprints of the client's keys when the job was checked. */
  clientKeys?: string[];
  /** When AWS first could not be asked whether the instance ended, in milliseconds since 1970. */
  awayFrom?: number | undefined;
  /** When AWS first said that the instance lives, in milliseconds since 1970. */
  aliveFrom?: number | undefined;
  /** When AWS confirmed that the instance ended or is ending, in milliseconds since 1970, and in which words. */
  confirmed?: { at: number; because: string } | undefined;
  /** Whether search was asked which node the instance is. */
  searched?: boolean;
  /** The lifecycle actions that are dealt with. */
  completed?: string[];
  /** When chef-client last ran on the node, in milliseconds since 1970. */
  lastSeen?: number;
  /** The machine as it was last looked at. */
  machine?: Machine;
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
  /** No key of the client was saved, so the host must be bootstrapped to get a client. */
  needsBootstrap?: boolean;
}

/** Remembered before it is sent, so that a second attempt looks for it first, and with its end once Nagios took it. */
export interface AskedDowntime {
  host: string;
  submittedAt: string;
  end?: string;
  /** Nagios was seen to show it. */
  seen?: true;
}

/** A job as those see it who work on it. */
export interface JobRecord extends Job {
  /** The number in its valid token; tokens of earlier runs are stale. */
  run: number;
  /** The worker that began it last; what an earlier one wants to note is refused. */
  worker?: string;
  /** Its place among all jobs, by acceptance. */
  seq: number;
  /** The instance waits for these actions to be completed. */
  lifecycles: LifecycleAction[];
  /** Who said what it stands for; of one speaker the latest. */
  evidence: Evidence[];
  /** How often something was added to its evidence and lifecycle actions. */
  heard: number;
  /** When that was said last, by a trusted speaker if there is one. */
  saidAt: Date;
  /** Whether a change in Chef was begun. */
  touched: boolean;
  /** What a person let pass, until the job ends. */
  approval?: Approval;
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
    source: hash['source'] as InboundEvent['source'],
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
    lifecycles: read(hash['lifecycles']) ?? [],
    evidence: read(hash['evidence']) ?? [],
    heard: Number(hash['heard'] ?? 0),
    saidAt: new Date(Number(hash['saidAt'])),
    touched: hash['touched'] === '1',
    ...(hash['trace'] && { trace: hash['trace'] }),
    ...(hash['approvedBy'] && { approvedBy: hash['approvedBy'] }),
    ...parsed(hash, 'approvedFor', 'approval', 'reasons', 'machine'),
    ...(hash['result'] && { result: hash['result'] as JobResult }),
    facts: read(hash['facts']) ?? {},
  };
}

function read<T>(json: string | undefined): T | undefined {
  return json === undefined ? undefined : JSON.parse(json);
}

/** The fields that are there, each of them JSON. */
function parsed<K extends keyof JobRecord>(hash: Record<string, string>, ...names: K[]): Pick<JobRecord, K> {
  const found = names.filter(name => hash[name]).map(name => [name, read(hash[name])]);
  return Object.fromEntries(found);
}
