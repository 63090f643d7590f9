export interface Backoff {
  firstMs: number;
  longestMs: number;
}

/** Doubling from the first wait, capped, and spread over half its length so that many do not come back at once. */
export function backoff(attempts: number, { firstMs, longestMs }: Backoff): number {
  const full = Math.min(longestMs, firstMs * 2 ** Math.min(attempts - 1, 20));
  return Math.round(full * (0.5 + Math.random() / 2));
}
