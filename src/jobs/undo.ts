import type { NagiosClient } from '../clients/nagios.ts';
import type { DeletionBudget } from './budget.ts';
import type { JobRecord } from './record.ts';
import { downtimeComment } from './steps/downtime.ts';
import type { JobStore } from './store.ts';

export interface UndoDependencies {
  nagios: NagiosClient | undefined;
  store: Pick<JobStore, 'remember'>;
  budget: Pick<DeletionBudget, 'refund'>;
}

/**
 * Takes back what a job did before it ended without its deletion: the downtime that it set, and its part of the budget, if
 * it changed nothing in Chef.
 * @throws AppError if Nagios cannot be asked now
 */
export function undoEffects({ nagios, store, budget }: UndoDependencies): (job: JobRecord) => Promise<void> {
  return async job => {
    if (job.kind === 'ensure') return;
    if (!job.touched) await budget.refund(job.id);
    if (!nagios || !job.facts.downtime) return;
    await nagios.cancelDowntimes({ comment: downtimeComment(job.id) });
    await store.remember(job, { downtime: undefined });
  };
}
