import { once } from 'node:events';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { AppError } from '../errors.ts';
import { whyAway } from './redis-away.ts';

/** Whether Redis keeps what it is given. Events are acknowledged once Redis has them. */
export interface RedisCheck {
  /**
   * Asks Redis, by a write too.
   * @throws AppError `rejected` for a setting that would lose jobs; why there is no connection, at once where that is
   * known; the connection's own error where nothing is written
   */
  now: () => Promise<void>;
  /**
   * What the last answer on this connection was; asks where there is none or it was bad. Cheap while all is well.
   * @throws AppError `unavailable`; the connection's own error
   */
  last: () => Promise<void>;
  /**
   * Right after a write: resolves once a replica has it too, where there is one. Replication is asynchronous, and WAIT
   * makes it no consensus: with a single failure Sentinel and Cluster promote the replica that has most, which has
   * this; of two servers that fail at once nothing can be said. Writes that are not waited for (a step that is done,
   * say) may be lost in a failover, and are done again.
   * Source: https://redis.io/docs/latest/commands/wait/
   * @param key what was written
   * @throws AppError `unavailable` where the write did not survive a failover, or no replica took it in time
   */
  replicated: (key: string) => Promise<void>;
}

export interface RedisCheckOptions {
  /** Of our keys: where Redis is a Cluster, the node that has them is asked. */
  prefix: string;
  /** Whether a failover may leave behind what no replica has. */
  replicas: boolean;
  log: Logger;
}

const REPLICATION_TIMEOUT_MS = 1_000;
/** A Cluster answers nothing before it knows its nodes. */
const CLUSTER_TIMEOUT_MS = 2_000;
/** A bad answer is believed for this long. */
const BAD_MS = 1_000;

export function redisCheck(redis: Redis, { prefix, replicas, log }: RedisCheckOptions): RedisCheck {
  const probe = `${prefix}:probe`;
  let answer: Promise<void> | undefined;
  let badUntil = 0;
  let warned = false;
  let told = false;
  let away: Error | undefined;
  const unconnected = () => (redis.status === 'ready' ? undefined : away);

  async function settings(): Promise<void> {
    const [, info] = await together(redis.pipeline().exists(probe).info());
    const value = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(String(info))?.[1];
    if (value('aof_enabled') === '0' && !warned) log.warn(NO_FILE);
    warned = value('aof_enabled') === '0';
    const policy = value('maxmemory_policy') ?? 'noeviction';
    if (policy !== 'noeviction') throw new AppError('rejected', evicts(policy));
  }
  function ask(): Promise<void> {
    badUntil = 0;
    answer = settings().then(
      () => {
        if (told) log.info('Redis keeps what it is given: events are taken again');
        told = false;
      },
      error => {
        badUntil = Date.now() + BAD_MS;
        if (error instanceof AppError && !told) {
          log.error({ err: error.message }, 'events are refused until this is mended');
          told = true;
        }
        throw error;
      },
    );
    return answer;
  }

  // Another server may be behind the same address, or the same one with other settings.
  for (const event of ['ready', '+node']) redis.on(event, () => void ask().catch(() => {}));
  redis.on('close', () => {
    answer = undefined;
  });
  redis.on('error', (error: Error) => {
    away = whyAway(error);
  });
  redis.on('ready', () => {
    away = undefined;
  });

  return {
    async now() {
      const known = unconnected();
      if (known) throw known;
      if (redis.isCluster && redis.status !== 'ready')
        await once(redis, 'ready', { signal: AbortSignal.timeout(CLUSTER_TIMEOUT_MS) }).catch(() => {});
      try {
        await ask();
        await redis.set(probe, '1', 'PX', 1_000);
      } catch (error) {
        throw error instanceof AppError ? error : (unconnected() ?? error);
      }
    },
    async last() {
      const stale = answer === undefined || (badUntil !== 0 && Date.now() > badUntil);
      try {
        await (stale ? ask() : answer);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        throw new AppError('unavailable', error.message, { cause: error });
      }
    },
    async replicated(key) {
      if (!replicas) return;
      const [, role] = await together(redis.pipeline().exists(key).role());
      const attached = Array.isArray(role) && Array.isArray(role[2]) ? role[2].length : 0;
      // Alone after a failover it goes on alone, unless its own min-replicas-to-write forbids that.
      if (attached === 0) return;
      const [exists, acknowledged] = await together(
        redis.pipeline().exists(key).wait(1, REPLICATION_TIMEOUT_MS),
      );
      if (exists !== 1 || acknowledged === 0)
        throw new AppError('unavailable', 'no replica of Redis has it yet; send it again');
    },
  };
}

const NO_FILE =
  'Redis has no append-only file: what it took since its last snapshot is lost when it crashes; run: redis-cli config set appendonly yes';

/** It would throw jobs away under memory pressure. */
function evicts(policy: string): string {
  return `Redis has maxmemory-policy ${policy} and would drop jobs when memory is short; run: redis-cli config set maxmemory-policy noeviction`;
}

async function together(pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> {
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}
