import { AppError } from '../domain/errors.ts';
import type { RunScript } from './scripts.ts';

export interface BudgetOptions {
  /** Deletions within a window; those beyond are held. */
  maxDeletes: number;
  windowMinutes: number;
}

export interface DeletionBudget {
  /** Takes one deletion out of the budget, once per job. @throws AppError `over-budget` if none is left */
  spend: (jobId: string) => Promise<void>;
  /** Gives the job's deletion back, if it took one: it ended without a deletion. */
  refund: (jobId: string) => Promise<void>;
}

/** Counts the deletions of all processes in a sliding window, by Redis's clock. */
export function deletionBudget(run: RunScript, { maxDeletes, windowMinutes }: BudgetOptions): DeletionBudget {
  return {
    async spend(jobId) {
      if ((await run('spend', jobId, windowMinutes * 60_000, maxDeletes)) === 1) return;
      throw new AppError(
        'over-budget',
        `more than ${maxDeletes} deletions within ${windowMinutes} minutes (MAX_DELETES): held for a person`,
      );
    },
    refund: async jobId => void (await run('refund', jobId)),
  };
}
