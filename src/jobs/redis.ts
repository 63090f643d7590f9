import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { AppError } from '../errors.ts';

/** Below the five seconds within which a sender must hear that Redis does not answer. */
const COMMAND_TIMEOUT_MS = 3_000;

/**
 * Two connections with opposite tempers: `commands` gives up soon, so that callers hear of an outage; `blocking`
 * waits for ever, as BullMQ's workers need it.
 */
export interface RedisConnections {
  commands: Redis;
  blocking: Redis;
  close(): Promise<void>;
}

export function connectRedis(url: URL, log: Logger): RedisConnections {
  const shared: Omit<RedisOptions, 'replyMapping'> = {
    retryStrategy: attempt => Math.min(50 * 2 ** Math.min(attempt, 6), 2_000),
    connectTimeout: COMMAND_TIMEOUT_MS,
    maxLoadingRetryTime: 60_000,
  };
  const commands = new Redis(url.href, {
    ...shared,
    connectionName: 'chef-deregistration',
    commandTimeout: COMMAND_TIMEOUT_MS,
    maxRetriesPerRequest: 1,
  });
  const blocking = new Redis(url.href, {
    ...shared,
    connectionName: 'chef-deregistration-worker',
    maxRetriesPerRequest: null,
  });
  for (const connection of [commands, blocking]) logState(connection, log);
  return {
    commands,
    blocking,
    async close() {
      for (const connection of [commands, blocking]) connection.disconnect();
    },
  };
}

/** One line when Redis goes, one when it is back, however often the connection is tried in between. */
function logState(connection: Redis, log: Logger): void {
  let away = false;
  connection.on('error', (error: Error) => {
    if (!away)
      log.error({ err: error.message }, 'Redis cannot be reached: events are refused until it is back');
    away = true;
  });
  connection.on('ready', () => {
    if (away) log.info('Redis is back');
    away = false;
  });
}

/**
 * Whether this Redis keeps what it is given. Events are acknowledged once Redis has them: an eviction policy would
 * throw them away under memory pressure, and without the append-only file a crash would.
 * @throws AppError `rejected` for an eviction policy other than noeviction
 */
export async function checkRedisKeeps(redis: Redis, log: Logger): Promise<void> {
  const memory = await redis.info('memory');
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
  if (policy && policy !== 'noeviction') {
    throw new AppError(
      'rejected',
      `Redis has maxmemory-policy ${policy} and would drop jobs when memory is short; run: redis-cli config set maxmemory-policy noeviction`,
    );
  }
  const persistence = await redis.info('persistence');
  if (/^aof_enabled:0/m.test(persistence)) {
    log.warn(
      'Redis has no append-only file: what it took since its last snapshot is lost when it crashes; run: redis-cli config set appendonly yes',
    );
  }
}
