import { AppError, JOB_FATE } from '../domain/errors.ts';
import { backoff } from '../lib/backoff.ts';

/** After these many attempts a job that could be tried again is given up; about two hours with the waits between. */
const MAX_ATTEMPTS = 30;
const WAITS = { firstMs: 1_000, longestMs: 300_000 };

export type Fate = { kind: 'retry'; delayMs: number } | { kind: 'fail' } | { kind: 'hold' };

/** What becomes of a job whose attempt, its `attempts`-th, ended with this error. */
export function fateOf(error: unknown, attempts: number): Fate {
  const kind = error instanceof AppError ? JOB_FATE[error.code] : 'retry';
  if (kind !== 'retry') return { kind };
  if (attempts >= MAX_ATTEMPTS) return { kind: 'fail' };
  const asked = error instanceof AppError ? error.retryAfterMs : undefined;
  return { kind, delayMs: asked ?? backoff(attempts, WAITS) };
}
