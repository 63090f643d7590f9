import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { describe } from '../errors.ts';
import type { Token } from './store.ts';

export const QUEUE = 'jobs';
const SWEEP_INTERVAL_MS = 2_000;
const AT_ONCE = 1_000;
/** One hand-over costs as much as ten jobs in it, so more are let come; the first of them does not wait. */
const PAUSE_MS = 5;

/**
 * Hands jobs to BullMQ. A job's record and its token in the outbox are written in one step, and the token leaves the
 * outbox only when BullMQ has it; so a process that dies between the two leaves the token to the next sweep.
 * Handing a token over twice does no harm: BullMQ ignores an id it has, and the worker a run that is over.
 */
export class Dispatcher {
  readonly #redis: Redis;
  /** There once Redis was: a BullMQ queue whose first connection fails never recovers. */
  #queue: Queue | undefined;
  readonly #outbox: string;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #waiting: Token[] = [];
  #handing: Promise<void> | undefined;

  constructor(redis: Redis, prefix: string, log: Logger) {
    this.#redis = redis;
    this.#outbox = `${prefix}:outbox`;
    this.#log = log;
    const open = () => {
      this.#queue ??= openQueue(redis, prefix);
    };
    if (redis.status === 'ready') open();
    else redis.once('ready', open);
    this.#timer = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
    this.#timer.unref();
  }

  /**
   * Hands over soon, together with all that comes meanwhile. It never fails: what cannot be handed over now is in the
   * outbox and handed over later.
   */
  dispatch(tokens: Token[]): void {
    if (tokens.length === 0) return;
    this.#waiting.push(...tokens);
    this.#handing ??= this.#handOver();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#handing;
    await this.#queue?.close();
  }

  async #handOver(): Promise<void> {
    while (this.#waiting.length > 0) {
      const tokens = this.#waiting.splice(0, AT_ONCE);
      try {
        await this.#queue?.addBulk(tokens.map(token => ({ name: 'job', data: {}, opts: { jobId: token } })));
        if (this.#queue) await this.#redis.srem(this.#outbox, ...tokens);
      } catch (error) {
        this.#log.warn({ err: describe(error), jobs: tokens.length }, 'Redis has the jobs, BullMQ not yet');
      }
      await delay(PAUSE_MS);
    }
    // In the same breath as the last look: what comes after it begins anew.
    this.#handing = undefined;
  }

  async #sweep(): Promise<void> {
    try {
      this.dispatch(await this.#redis.srandmember(this.#outbox, AT_ONCE));
    } catch {
      // Redis is away; the connection has logged it.
    }
  }
}

/** BullMQ's queue of jobs. */
export function openQueue(connection: Redis, prefix: string): Queue {
  const queue = new Queue(QUEUE, {
    connection,
    prefix,
    skipWaitingForReady: true,
    defaultJobOptions: {
      // The record decides what becomes of a job; BullMQ only keeps trying until a worker said so.
      attempts: Number.MAX_SAFE_INTEGER,
      backoff: { type: 'fixed', delay: 2_000 },
      removeOnComplete: true,
      removeOnFail: true,
    },
  });
  // Each call tells its own failure, and the connection that of Redis.
  queue.on('error', () => {});
  return queue;
}
