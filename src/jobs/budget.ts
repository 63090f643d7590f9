import { AppError } from '../errors.ts';
import type { RunScript } from './scripts.ts';

export interface BudgetOptions {
  /** Deletions within a window; those beyond are held. */
  maxDeletes: number;
  windowMinutes: number;
}

/**
 * Counts the deletions of all processes in a sliding window, by Redis's clock.
 * @throws AppError `over-budget` for a job that finds none left
 */
export function deletionBudget(run: RunScript, { maxDeletes, windowMinutes }: BudgetOptions) {
  return async (jobId: string): Promise<void> => {
    const spent = await run('spend', jobId, windowMinutes * 60_000, maxDeletes);
    if (spent === 1) return;
    throw new AppError(
      'over-budget',
      `more than ${maxDeletes} deletions within ${windowMinutes} minutes (MAX_DELETES): held for a person`,
    );
  };
}
