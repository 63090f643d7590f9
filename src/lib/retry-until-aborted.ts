import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { AppError, describe } from '../domain/errors.ts';
import { backoff } from './backoff.ts';

export interface RetryOptions {
  log: Logger;
  /** What is tried, for the log: `SQS queue terminations`. */
  what: string;
  /** Ends it; a wait is cut short, an attempt is not. */
  signal: AbortSignal;
  /** Longest wait between attempts, in milliseconds. @default 30 seconds */
  longestWaitMs?: number | undefined;
  /** Wait after an error that only a person can remove, in milliseconds. @default as after any other */
  refusedWaitMs?: number | undefined;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const FOR_A_PERSON: readonly string[] = ['permission', 'credentials', 'rejected'];

/**
 * Tries until it works, with one line in the log when it begins to fail, one when it fails in another way, and one
 * when it works again.
 * @returns undefined where it was ended before it worked
 */
export async function retryUntilAborted<T>(
  attempt: () => Promise<T>,
  trying: RetryOptions,
): Promise<T | undefined> {
  const { log, what, signal } = trying;
  let reported: string | undefined;
  for (let attempts = 1; !signal.aborted; attempts++) {
    try {
      const result = await attempt();
      if (reported !== undefined) log.info({ attempts }, `${what}: works again`);
      return result;
    } catch (error) {
      const kind = error instanceof AppError ? error.code : 'internal';
      if (kind !== reported && !signal.aborted) {
        log.error({ err: describe(error), attempts }, `${what}: failed, trying until it works`);
        reported = kind;
      }
      await delay(waitAfter(error, attempts, trying), undefined, { signal }).catch(() => {});
    }
  }
  return undefined;
}

function waitAfter(error: unknown, attempts: number, trying: RetryOptions): number {
  const { longestWaitMs = LONGEST_WAIT_MS, refusedWaitMs } = trying;
  const known = error instanceof AppError ? error : undefined;
  if (refusedWaitMs !== undefined && known && FOR_A_PERSON.includes(known.code)) return refusedWaitMs;
  return Math.max(
    known?.retryAfterMs ?? 0,
    backoff(attempts, { firstMs: FIRST_WAIT_MS, longestMs: longestWaitMs }),
  );
}
