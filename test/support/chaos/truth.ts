import type { Job } from '../../../src/domain/job.ts';
import type { Replacement } from './replacement.ts';
import { type Call, isChange } from './watched-worker.ts';

/** What a job at rest says that is not so. @param calls of all workers that had the job */
export function falsehoods(job: Job, calls: readonly Call[], { registeredAt }: Replacement): string[] {
  if (job.state === 'held') return (job.reasons ?? []).length > 0 ? [] : ['it is held without a reason'];
  if (job.state !== 'done') return [`it is ${job.state}: ${job.error?.message}`];
  const changed = new Set(calls.filter(isChange).map(({ method }) => method));
  const claims = { deleted: 'DELETE', restored: 'POST' } as const;
  const needed = claims[job.result as keyof typeof claims];
  const said: string[] = [];
  if (needed && !changed.has(needed)) said.push(`it is ${job.result}, and no ${needed} was answered`);
  if (!needed && changed.size > 0) said.push(`it is ${job.result}, and ${[...changed].join()} was answered`);
  // The replacement is not the node that was asked for.
  const later = job.steps.filter(({ name, at }) => name === 'recreate-node' && Date.parse(at) > registeredAt);
  if (job.result === 'restored' && later.length > 0)
    said.push(`recreate-node, which saw the replacement, says: ${later[0]?.note}`);
  return said;
}
