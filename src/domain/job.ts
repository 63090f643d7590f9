import type { ErrorCode, HoldCode, Reason } from './errors.ts';
import type { Event, InboundEvent } from './event.ts';

export const JOB_KINDS = ['delete', 'ensure', 'downtime'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

/** The states of jobs that go on by themselves; they keep their place in the line of their node. */
export const OPEN_STATES = ['queued', 'running', 'retrying'] as const;
export const JOB_STATES = [...OPEN_STATES, 'held', 'done', 'failed', 'discarded'] as const;
export type JobState = (typeof JOB_STATES)[number];

export const STEP_NAMES = [
  'find',
  'guard',
  'downtime',
  'archive',
  'delete-client',
  'delete-node',
  'verify',
  'complete-lifecycle',
  'confirm-downtime',
  'alert',
  'recreate-client',
  'recreate-node',
  'cancel-downtime',
] as const;
export type StepName = (typeof STEP_NAMES)[number];

export interface StepRecord {
  name: StepName;
  state: 'done' | 'skipped' | 'failed';
  at: string;
  note?: string;
}

/** What a job that is done came to. */
export type JobResult =
  | 'deleted'
  | 'restored'
  | 'downtime-set'
  /** Chef has neither node nor client. */
  | 'nothing-found'
  /** Node and client were there already. */
  | 'unchanged'
  /** The opposite was said later, so nothing was done. */
  | 'overruled';

/** The machine that a person sees when deciding about a held job. */
export interface Machine {
  /** Of the Chef node; both absent if there is no node. */
  instanceId?: string;
  /** When chef-client last ran there: ISO 8601, UTC. */
  ohaiTime?: string;
  /** Fingerprints of the client's keys; absent if there is no client. */
  clientKeys?: string[];
}

/** What a person let pass, for the machine that was shown. */
export interface Approval {
  reasons: Reason[];
  machine?: Machine;
}

/** What a job is to everyone outside: the Job of openapi.yaml. */
export interface Job {
  id: string;
  kind: JobKind;
  state: JobState;
  node: string | null;
  instanceId: string | null;
  source: InboundEvent['source'];
  event: Event;
  requestedBy?: string;
  /** Who let it go on after it was held. */
  approvedBy?: string;
  /** The codes of what it was held for when somebody let it go on. */
  approvedFor?: HoldCode[];
  receivedAt: string;
  finishedAt: string | null;
  attempts: number;
  steps: StepRecord[];
  error?: { code: ErrorCode | 'internal' | 'discarded'; message: string };
  /** Everything for which it is held. */
  reasons?: Reason[];
  /** The machine that is shown to the person who decides. */
  machine?: Machine;
  result?: JobResult;
}
