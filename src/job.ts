import type { ErrorCode } from './errors.ts';
import type { Event, News } from './event.ts';

export const JOB_KINDS = ['delete', 'ensure', 'downtime'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

/** Those that still have something to do by themselves; they keep their place in the line of their node. */
export const OPEN_STATES = ['queued', 'running', 'retrying'] as const;
export const JOB_STATES = [...OPEN_STATES, 'held', 'done', 'failed'] as const;
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

/** What a job is to everyone outside: the Job of openapi.yaml. */
export interface Job {
  id: string;
  kind: JobKind;
  state: JobState;
  node: string | null;
  instanceId: string | null;
  source: News['source'];
  event: Event;
  requestedBy?: string;
  /** Who let it go on after it was held. */
  approvedBy?: string;
  /** What it was held for when somebody let it go on; nothing else is let pass. */
  approvedFor?: string[];
  receivedAt: string;
  finishedAt: string | null;
  attempts: number;
  steps: StepRecord[];
  error?: { code: ErrorCode | 'internal' | 'discarded'; message: string };
}

/** Whether a person let the job go on in spite of this. */
export function isApproved({ approvedFor }: Pick<Job, 'approvedFor'>, code: ErrorCode): boolean {
  return approvedFor?.includes(code) ?? false;
}
