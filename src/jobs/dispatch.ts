import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { describe } from '../errors.ts';
import type { Token } from './store.ts';

export const QUEUE = 'jobs';
const SWEEP_INTERVAL_MS = 2_000;

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

  /** Never fails: what cannot be handed over now is in the outbox and handed over later. */
  async dispatch(tokens: Token[]): Promise<void> {
    if (tokens.length === 0 || !this.#queue) return;
    try {
      await this.#queue.addBulk(tokens.map(token => ({ name: 'job', data: {}, opts: { jobId: token } })));
      await this.#redis.srem(this.#outbox, ...tokens);
    } catch (error) {
      this.#log.warn({ err: describe(error), jobs: tokens.length }, 'Redis has the jobs, BullMQ not yet');
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#queue?.close();
  }

  async #sweep(): Promise<void> {
    try {
      await this.dispatch(await this.#redis.srandmember(this.#outbox, 1_000));
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
