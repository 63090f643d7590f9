import { setTimeout as delay } from 'node:timers/promises';
import { type Processor, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { RedisCheck } from '../clients/redis/durability.ts';
import { redisFault } from '../clients/redis/fault.ts';
import { describe } from '../domain/errors.ts';
import { withTimeLimit } from '../lib/time-limit.ts';
import type { Pausable } from './outages.ts';
import { QUEUE } from './outbox.ts';

export interface BullWorkerOptions {
  prefix: string;
  /** Jobs that this process works on at once. */
  concurrency: number;
  /** How long a job of a worker that died stays locked, in milliseconds. */
  lockMs: number;
}

export interface BullWorkerDependencies {
  redis: Redis;
  check: RedisCheck;
  log: Logger;
}

const RETRY_MS = 1_000;
const CLOSE_PATIENCE_MS = 1_000;

/**
 * BullMQ's worker, kept from calling Redis in an endless loop. It calls again at once if its first look at Redis failed
 * (INFO is forbidden, the version is too old), or if Redis refuses to hand out jobs that wait. So it is made only when
 * Redis can be used, runs only when it is ready, and rests while Redis refuses.
 */
export function openBullWorker(
  work: Processor,
  { prefix, concurrency, lockMs }: BullWorkerOptions,
  { redis, check, log }: BullWorkerDependencies,
): Pausable & { close: () => Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  /** It works only if there is no reason to pause. */
  const reasons = new Set<'outage' | 'refused'>();
  let worker: Worker | undefined;
  let resting = false;

  function pause(reason: 'outage' | 'refused'): void {
    reasons.add(reason);
    void worker?.pause(true);
  }

  function resume(reason: 'outage' | 'refused'): void {
    reasons.delete(reason);
    if (reasons.size === 0) void worker?.resume();
  }

  const wait = () => delay(RETRY_MS, undefined, { signal }).catch(() => {});
  const usable = () =>
    check.last().then(
      () => true,
      () => false,
    );

  async function rest(): Promise<void> {
    if (resting) return;
    resting = true;
    pause('refused');
    do await wait();
    while (!signal.aborted && !(await usable()));
    resting = false;
    if (!signal.aborted) resume('refused');
  }

  function onError(error: Error): void {
    log.debug({ err: describe(error) }, 'worker');
    check.suspect(error);
    const fault = redisFault(error);
    if (fault && !fault.unreachable) void rest();
  }

  async function open(): Promise<void> {
    while (!signal.aborted) {
      if ((await usable()) && (await start())) return;
      await wait();
    }
  }

  /** @returns whether BullMQ accepts this Redis */
  async function start(): Promise<boolean> {
    const made = new Worker(QUEUE, work, {
      connection: redis,
      prefix,
      concurrency,
      lockDuration: lockMs,
      stalledInterval: lockMs / 2,
      // A worker killed in the middle of a job is not the job's fault.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: RETRY_MS,
      autorun: false,
    });
    made.on('error', onError);
    worker = made;
    try {
      await made.waitUntilReady();
    } catch (error) {
      if (signal.aborted) return false;
      worker = undefined;
      log.error({ err: describe(error) }, 'BullMQ cannot use this Redis: trying again');
      await made.close(true).catch(() => {});
      return false;
    }
    if (signal.aborted || reasons.size > 0) void made.pause(true);
    else made.run().catch(onError);
    return true;
  }

  void open();
  return {
    pause: () => pause('outage'),
    resume: () => resume('outage'),
    async close() {
      stopping.abort();
      const answered = check.now().then(
        () => true,
        () => false,
      );
      // If Redis cannot be used no job can end; another worker goes on with them.
      const force = !(await withTimeLimit(answered, CLOSE_PATIENCE_MS, () => false));
      await worker?.close(force);
    },
  };
}
