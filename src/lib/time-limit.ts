import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits for some work, but no longer than `ms` milliseconds; the work itself goes on.
 * @param late gives the value if it took longer, or throws
 */
export async function withTimeLimit<T, L>(work: Promise<T>, ms: number, late: () => L): Promise<T | L> {
  const timer = new AbortController();
  const limit = delay(ms, undefined, { signal: timer.signal }).then(late);
  limit.catch(() => {});
  try {
    return await Promise.race([work, limit]);
  } finally {
    timer.abort();
  }
}
