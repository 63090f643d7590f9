import { JOB_KINDS, JOB_STATES, type Job, type JobKind, type JobState } from '../domain/job.ts';

export interface JobFilter {
  kind?: JobKind | undefined;
  state?: JobState | undefined;
  node?: string | undefined;
  instanceId?: string | undefined;
  limit: number;
  cursor?: string | undefined;
}

/** The fewest lists that hold every job the filter lets through. */
export function lists({ kind, state, node, instanceId }: JobFilter): string[] {
  if (instanceId) return [`instance:${instanceId}`];
  if (node) return [`node:${node}`];
  const kinds = kind ? [kind] : JOB_KINDS;
  const states = state ? [state] : JOB_STATES;
  return kinds.flatMap(k => states.map(s => `list:${k}:${s}`));
}

/** Whether the filter lets a job through that one of its lists has. */
export function matches(job: Job, { kind, state, node, instanceId }: JobFilter): boolean {
  return (
    (!kind || job.kind === kind) &&
    (!state || job.state === state) &&
    (!node || job.node === node) &&
    (!instanceId || job.instanceId === instanceId)
  );
}
