import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { redisFault } from '../clients/redis/fault.ts';
import { listen } from '../clients/redis/subscribe.ts';
import { describe } from '../domain/errors.ts';
import { coalesce } from '../lib/coalesce.ts';
import type { RunScript } from './scripts.ts';
import type { Token } from './store.ts';

export const QUEUE = 'jobs';
/** Also how long a token is another process's that took it. */
const SWEEP_INTERVAL_MS = 2_000;
/** Redis does nothing else meanwhile, a few milliseconds. */
const AT_ONCE = 100;
/** One hand-over costs as much as ten jobs in it, so more are let come; the first of them does not wait. */
const PAUSE_MS = 5;

/**
 * Sees to it that BullMQ gets the jobs of these tokens soon. A job's record and its token in the outbox are written in
 * one step, and the token leaves the outbox only when BullMQ has it: so it never fails, and a process that is killed between the two
 * leaves the token to those who are left.
 */
export interface Dispatcher {
  dispatch: (tokens: Token[]) => void;
  close: () => Promise<void>;
}

/**
 * For a process without workers: it notifies those that have some. An ingest-only process does less work per event, and
 * many events cost one message.
 */
export function createOutboxNotifier(redis: Redis, prefix: string): Dispatcher {
  const { gather, settled } = createBatcher(() => redis.publish(`${prefix}:outbox`, '').catch(() => {}));
  return { dispatch: gather, close: settled };
}

/**
 * For a process with workers: it dispatches its own tokens at once, those of others when it is notified, and whatever
 * was left behind. Handing a token over twice does no harm: BullMQ ignores an id it has, and the worker a run that is over.
 */
export function createOutboxDispatcher(
  redis: Redis,
  run: RunScript,
  prefix: string,
  log: Logger,
): Dispatcher {
  const outbox = `${prefix}:outbox`;
  const queue = openQueue(redis, prefix);

  async function enqueue(tokens: Token[]): Promise<void> {
    try {
      await queue.addBulk(tokens.map(token => ({ name: 'job', data: {}, opts: { jobId: token } })));
      await redis.zrem(outbox, ...tokens);
    } catch (error) {
      // RedisCheck logs what is wrong with Redis.
      const level = redisFault(error) ? 'debug' : 'warn';
      log[level]({ err: describe(error), jobs: tokens.length }, 'Redis has the jobs, BullMQ not yet');
    }
  }

  const { gather, settled } = createBatcher(enqueue);
  let closed = false;
  const sweep = coalesce(async () => {
    let taken = AT_ONCE;
    while (taken === AT_ONCE && !closed) {
      // Where Redis is away, the connection has logged it.
      const tokens = await (run('take-due', 'outbox', SWEEP_INTERVAL_MS, AT_ONCE) as Promise<Token[]>).catch(
        () => [],
      );
      if (tokens.length > 0) await enqueue(tokens);
      taken = tokens.length;
    }
  });
  const look = () => void sweep();
  const deaf = listen(redis, outbox, { onMessage: look, onMissed: look });
  const timer = setInterval(look, SWEEP_INTERVAL_MS);
  timer.unref();

  return {
    dispatch: gather,
    async close() {
      closed = true;
      clearInterval(timer);
      deaf();
      await Promise.all([settled(), sweep()]);
      await queue.close();
    },
  };
}

/** Calls with all tokens that came since the call before, in their order. */
function createBatcher(call: (tokens: Token[]) => Promise<unknown>): {
  gather: (tokens: Token[]) => void;
  settled: () => Promise<void>;
} {
  const waiting: Token[] = [];
  let calling: Promise<void> | undefined;
  async function goOn(): Promise<void> {
    while (waiting.length > 0) {
      await call(waiting.splice(0, AT_ONCE));
      if (waiting.length < AT_ONCE) await delay(PAUSE_MS);
    }
    // No await since the last length check, so later items start a new loop.
    calling = undefined;
  }
  return {
    gather(tokens) {
      if (tokens.length === 0) return;
      waiting.push(...tokens);
      calling ??= goOn();
    },
    settled: async () => calling,
  };
}

/** BullMQ's queue of jobs. */
export function openQueue(connection: Redis, prefix: string): Queue {
  const queue = new Queue(QUEUE, {
    connection,
    prefix,
    // A queue whose first look at Redis fails would never recover; RedisCheck reads the version.
    skipWaitingForReady: true,
    skipVersionCheck: true,
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
