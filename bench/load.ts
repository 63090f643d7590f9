import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

/** One request, the `n`-th of its load, from its sending to the end of its answer; rejects where the answer is not the right one. */
export type Send = (n: number) => Promise<void>;

export interface Load {
  requests: number;
  /** Of answers. */
  perSecond: number;
  /** In milliseconds, of each request. */
  latencies: number[];
}

/**
 * Keeps so many requests under way for so long, or until `most` were made.
 * @throws what `send` rejects with first
 */
export async function saturate(
  send: Send,
  { atOnce, seconds, most = Number.POSITIVE_INFINITY }: { atOnce: number; seconds: number; most?: number },
): Promise<Load> {
  const latencies: number[] = [];
  const begun = performance.now();
  const end = begun + seconds * 1000;
  let next = 0;
  const one = async () => {
    for (let now = performance.now(); now < end && next < most; ) {
      await send(next++);
      const answered = performance.now();
      latencies.push(answered - now);
      now = answered;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return load(latencies, begun);
}

/** The finest delay that a timer of Node takes. */
const TICK_MS = 1;

/**
 * Sends at a constant rate, whether answers come or not. A latency counts from when its request was due, and so tells
 * of the time too for which it had to wait for its turn.
 * @throws what `send` rejects with first
 */
export async function pace(
  send: Send,
  { perSecond, requests }: { perSecond: number; requests: number },
): Promise<Load> {
  const latencies: number[] = [];
  const underWay: Promise<void>[] = [];
  let failure: { error: unknown } | undefined;
  const begun = performance.now();
  const due = (n: number) => begun + (n * 1000) / perSecond;
  const one = async (n: number) => {
    await send(n);
    latencies.push(performance.now() - due(n));
  };
  for (let n = 0; n < requests && !failure; ) {
    for (; n < requests && due(n) <= performance.now(); n++) {
      underWay.push(
        one(n).catch(error => {
          failure ??= { error };
        }),
      );
    }
    await delay(TICK_MS);
  }
  await Promise.all(underWay);
  if (failure) throw failure.error;
  return load(latencies, begun);
}

function load(latencies: number[], begun: number): Load {
  const requests = latencies.length;
  return { requests, perSecond: (requests * 1000) / (performance.now() - begun), latencies };
}
