import { AppError, JOB_FATE } from '../errors.ts';

/** After these many attempts a job that could be tried again is given up; about two hours with the waits between. */
const MAX_ATTEMPTS = 30;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 300_000;

export type Fate = { kind: 'retry'; delayMs: number } | { kind: 'fail' } | { kind: 'hold' };

/** What becomes of a job whose attempt, its `attempts`-th, ended with this error. */
export function fateOf(error: unknown, attempts: number): Fate {
  const kind = error instanceof AppError ? JOB_FATE[error.code] : 'retry';
  if (kind !== 'retry') return { kind };
  if (attempts >= MAX_ATTEMPTS) return { kind: 'fail' };
  const asked = error instanceof AppError ? error.retryAfterMs : undefined;
  return { kind, delayMs: asked ?? backoff(attempts) };
}

/** Doubling, capped, and spread over half its length so that many jobs do not come back at once. */
export function backoff(attempts: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempts - 1, 20));
  return Math.round(full * (0.5 + Math.random() / 2));
}
