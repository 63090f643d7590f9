import { randomUUID } from 'node:crypto';
import type { JobStore } from '../jobs/store.ts';
import type { OrphanedNode } from './find-orphans.ts';

/** What became of an orphaned node that was handed to the service. */
export interface Applied {
  node: string;
  job: string;
  outcome: string;
}

/** Called after each, to show progress. */
export type OnApplied = (done: number, total: number) => void;

/**
 * Makes a job of each orphaned node, as `POST /events` does; the service on the same Redis works it, with all its
 * guards. If a job has dealt with the termination already, that job runs again.
 * @throws AppError if Redis would not keep the jobs
 */
export async function applySweep(
  orphans: readonly OrphanedNode[],
  store: Pick<JobStore, 'accept' | 'get' | 'revive'>,
  onApplied: OnApplied,
): Promise<Applied[]> {
  const applied: Applied[] = [];
  for (const orphan of orphans) {
    applied.push(await applyOne(orphan, store));
    onApplied(applied.length, orphans.length);
  }
  return applied;
}

async function applyOne(
  { node, instanceId, reason, lastSeen }: OrphanedNode,
  store: Pick<JobStore, 'accept' | 'get' | 'revive'>,
): Promise<Applied> {
  const event = {
    kind: 'request' as const,
    method: 'delete' as const,
    node,
    instanceId,
    reason: `sweep: ${reason}`,
  };
  // All that is known is of when the node was last seen: a chef-client run or an `ensure` since then is newer.
  const saidAt = new Date(Math.min(Date.parse(lastSeen), Date.now()));
  const inbound = {
    event,
    source: 'api' as const,
    messageId: `sweep:${randomUUID()}`,
    place: 'api' as const,
    publishedAt: saidAt,
    saidAt,
    requestedBy: 'sweep',
  };
  const { jobId, outcome } = await store.accept(inbound, 'delete');
  if (outcome === 'accepted') return { node, job: jobId, outcome: 'accepted' };
  const job = await store.get(jobId);
  if (job?.state !== 'done') return { node, job: jobId, outcome: `known already, ${job?.state}` };
  const revived = await store.revive(job);
  return { node, job: jobId, outcome: revived.moved ? 'taken up again' : `left, ${revived.state}` };
}
