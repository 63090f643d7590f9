import type { NagiosClient } from '../clients/nagios/client.ts';
import { AppError } from '../domain/errors.ts';
import type { DeletionBudget } from './budget.ts';
import type { JobRecord } from './record.ts';
import { undoDowntime } from './steps/undo-downtime.ts';
import type { JobStore } from './store.ts';

export interface UndoDependencies {
  nagios: NagiosClient | undefined;
  store: Pick<JobStore, 'recordStep'>;
  budget: Pick<DeletionBudget, 'refund'>;
}

/**
 * Takes back what a job did before it ended without its deletion: the downtime that it set, and its part of the budget, if
 * it changed nothing in Chef.
 * @throws AppError as `cancelDowntime` does
 */
export function undoEffects(dependencies: UndoDependencies): (job: JobRecord) => Promise<void> {
  const cancel = cancelDowntime(dependencies);
  return async job => {
    if (job.kind === 'ensure') return;
    if (!job.touched) await dependencies.budget.refund(job.id);
    await cancel(job);
  };
}

/**
 * Cancels the downtime that a job set, if it set one. The job shows it as the step `cancel-downtime`.
 * @throws AppError if a downtime may still stand and a further attempt may cancel it
 */
export function cancelDowntime({
  nagios,
  store,
}: Omit<UndoDependencies, 'budget'>): (job: JobRecord) => Promise<void> {
  return async job => {
    const undone = await undoDowntime({ nagios }, job);
    if (!undone) return;
    const { facts, tryAgain, ...result } = undone;
    await store.recordStep(job, { name: 'cancel-downtime', at: new Date().toISOString(), ...result }, facts);
    if (tryAgain) throw new AppError('unavailable', result.note ?? '');
  };
}
