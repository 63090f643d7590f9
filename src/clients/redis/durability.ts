import { once } from 'node:events';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { describe } from '../../domain/errors.ts';
import { RedisFault, redisFault } from './fault.ts';
import { replicated } from './replicas.ts';
import { type NeededRights, tryRights } from './rights.ts';
import { redisTrial } from './trial.ts';

/** Whether Redis can be used, and keeps what it is given. Events are acknowledged once Redis has them. */
export interface RedisCheck {
  /** Tries Redis now, with a write, and the rights of its user if they were not tried lately. @throws RedisFault */
  now: () => Promise<void>;
  /** What the last try found; it tries if there was none on this connection. @throws RedisFault */
  last: () => Promise<void>;
  /** Tells of the error of any command: if Redis refused the command, the check tries again and logs why. */
  suspect: (error: unknown) => void;
  /** As `replicated` of redis-replicas.ts, if there can be replicas. */
  replicated: (key: string) => Promise<void>;
  /** Why Redis cannot be used now, as far as is known. */
  fault: () => RedisFault | undefined;
  /** Called once for each fault that begins. */
  onFault: (listener: (fault: RedisFault) => void) => void;
  close: () => void;
}

export interface RedisCheckOptions extends NeededRights {
  log: Logger;
}

/** A Cluster answers nothing before it knows its nodes. */
const CLUSTER_TIMEOUT_MS = 2_000;
/** Redis is tried again after this time while it cannot be used. */
const RETRY_MS = 1_000;
/** Trying all rights takes a connection of its own. */
const RIGHTS_LAST_MS = 60_000;

/** Keeps track of one connection, and logs one line when Redis cannot be used and one when it can be again. */
export function redisCheck(redis: Redis, options: RedisCheckOptions): RedisCheck {
  const { prefix, replicas, log } = options;
  const trial = redisTrial(redis, prefix, log);
  const listeners: ((fault: RedisFault) => void)[] = [];
  let trying: Promise<void> | undefined;
  let answer: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let tryingRights: Promise<void> | undefined;
  let rightsUntil = 0;
  /** What the trial of all rights found wrong on this connection. */
  let lacking: RedisFault | undefined;
  /** Why there is no connection. */
  let lost: RedisFault | undefined;
  let fault: RedisFault | undefined;
  let closed = false;

  /** Resolves when `lacking` is known. */
  async function knowRights(): Promise<void> {
    if (closed || Date.now() < rightsUntil) return;
    tryingRights ??= tryRights(redis, options)
      .then(
        () => {
          lacking = undefined;
          rightsUntil = Date.now() + RIGHTS_LAST_MS;
        },
        error => {
          if (redis.status !== 'ready') return;
          lacking = faultOf(error);
          rightsUntil = Date.now() + RETRY_MS;
        },
      )
      .finally(() => {
        tryingRights = undefined;
      });
    await tryingRights;
  }

  async function attempt(): Promise<void> {
    try {
      await trial();
    } catch (error) {
      if (redisFault(error)?.kind !== 'permission') throw error;
      rightsUntil = 0;
      await knowRights();
      throw lacking ?? error;
    }
    // Those who ask meanwhile need not wait for a connection that is made for this.
    void knowRights().then(() => {
      if (lacking && !fault) askAside();
    });
    if (lacking) throw lacking;
  }

  function ask(): Promise<void> {
    trying ??= attempt()
      .then(tellPassed, error => {
        const met = unconnected() ?? faultOf(error);
        // A Cluster that is not connected yet tells soon why.
        if (lost || redis.status === 'ready') tellFault(met);
        if (redis.status === 'ready') tryLater();
        throw met;
      })
      .finally(() => {
        trying = undefined;
      });
    answer = trying;
    return trying;
  }
  const askAside = () => void ask().catch(() => {});

  function tryLater(): void {
    if (closed) return;
    retry ??= setTimeout(() => {
      retry = undefined;
      askAside();
    }, RETRY_MS);
    retry.unref();
  }

  function unconnected(): RedisFault | undefined {
    return redis.status === 'ready' ? undefined : lost;
  }

  function tellFault(met: RedisFault): void {
    const known = fault && (fault.state === met.state || (fault.unreachable && met.unreachable));
    if (known || closed) return;
    fault = met;
    const { what, toDo, cause } = met;
    log.error({ err: describe(cause ?? what), toDo }, `${what}: events are answered 503 and jobs wait`);
    for (const listener of listeners) listener(met);
  }

  function tellPassed(): void {
    if (fault && !closed) log.info('Redis can be used again: events are accepted and jobs go on');
    fault = undefined;
  }

  redis.on('error', (error: Error) => {
    lost = faultOf(error);
    tellFault(lost);
  });
  redis.on('close', () => {
    answer = undefined;
    lacking = undefined;
    rightsUntil = 0;
  });
  redis.on('ready', () => {
    lost = undefined;
  });
  // Another server may be behind the same address, or the same one with other settings.
  for (const event of ['ready', '+node']) {
    redis.on(event, () => {
      // A read-only server is left at each write: without the pause it would be tried without end.
      if (!retry) askAside();
    });
  }

  return {
    async now() {
      const known = unconnected();
      if (known) throw known;
      if (redis.isCluster && redis.status !== 'ready')
        await once(redis, 'ready', { signal: AbortSignal.timeout(CLUSTER_TIMEOUT_MS) }).catch(() => {});
      await ask();
      await knowRights();
      if (lacking) throw lacking;
    },
    async last() {
      await (answer ?? ask());
    },
    suspect(error) {
      const met = redisFault(error);
      if (!met || met.unreachable || retry || closed) return;
      if (met.kind === 'permission') rightsUntil = 0;
      askAside();
    },
    async replicated(key) {
      if (replicas) await replicated(redis, key);
    },
    fault: () => fault,
    onFault(listener) {
      listeners.push(listener);
    },
    close() {
      closed = true;
      clearTimeout(retry);
    },
  };
}

function faultOf(error: unknown): RedisFault {
  return redisFault(error) ?? new RedisFault('other', { cause: error });
}
