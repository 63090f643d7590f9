import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { RedisTarget } from '../redis-url.ts';
import { whyAway } from './redis-away.ts';
import { type RedisCheck, redisCheck } from './redis-check.ts';

/** Below the five seconds within which a sender must hear that Redis does not answer. */
const COMMAND_TIMEOUT_MS = 3_000;

/** Above the ten seconds for which BullMQ waits for a job at most. */
const BLOCKED_TIMEOUT_MS = 15_000;

/**
 * Two connections with opposite tempers: `commands` gives up soon, so that callers hear of an outage; `blocking`
 * waits for ever, as BullMQ's workers need it.
 */
export interface RedisConnections {
  /**
   * A Cluster, too, goes by the type of a single Redis: it takes the same commands, and all our keys are in one slot.
   */
  commands: Redis;
  blocking: Redis;
  check: RedisCheck;
  close(): Promise<void>;
}

export function connectRedis(target: RedisTarget, prefix: string, log: Logger): RedisConnections {
  const commands = connect(target, 'chef-deregistration', {
    commandTimeout: COMMAND_TIMEOUT_MS,
    maxRetriesPerRequest: 1,
    socketTimeout: COMMAND_TIMEOUT_MS + 1_000,
  });
  const blocking = connect(target, 'chef-deregistration-worker', {
    maxRetriesPerRequest: null,
    socketTimeout: BLOCKED_TIMEOUT_MS,
  });
  for (const connection of [commands, blocking]) logState(connection, log);
  return {
    commands,
    blocking,
    check: redisCheck(commands, { prefix, replicas: target.kind !== 'single', log }),
    async close() {
      for (const connection of [commands, blocking]) connection.disconnect();
    },
  };
}

/**
 * A Redis that hangs closes no connection: without `socketTimeout` the one that Sentinels put in its place is never
 * found. Their own word of it, ioredis' `failoverDetector`, can end a connection for good while it is being made.
 */
type Temper = Pick<RedisOptions, 'commandTimeout' | 'maxRetriesPerRequest' | 'socketTimeout'>;

const retryStrategy = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 2_000);

function connect(target: RedisTarget, connectionName: string, temper: Temper): Redis {
  const { username, password } = target;
  const tls = target.tls ? { tls: {} } : {};
  const options = {
    ...temper,
    ...tls,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    connectionName,
    connectTimeout: COMMAND_TIMEOUT_MS,
    maxLoadingRetryTime: 2_000,
    // A master that became a replica is left for the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  };
  switch (target.kind) {
    case 'single':
      return new Redis({ ...options, ...target.address, db: target.db, retryStrategy });
    case 'sentinel':
      return new Redis({
        ...options,
        sentinels: target.sentinels,
        name: target.master,
        db: target.db,
        retryStrategy,
        sentinelRetryStrategy: retryStrategy,
        // One that hangs is passed over.
        sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
        enableTLSForSentinelMode: target.tls,
        ...(target.tls && { sentinelTLS: {} }),
        ...(target.sentinelPassword !== undefined && { sentinelPassword: target.sentinelPassword }),
      });
    case 'cluster': {
      // What waits for a cluster has no time limit there.
      const patient = options.maxRetriesPerRequest === null;
      const cluster = new (patient ? Cluster : PromptCluster)(target.nodes, {
        redisOptions: options,
        clusterRetryStrategy: retryStrategy,
        enableOfflineQueue: patient,
        // A certificate is for the name, not for the address behind it.
        dnsLookup: (name, callback) => callback(null, name),
      });
      return cluster as unknown as Redis;
    }
  }
}

/** Refuses pipelines, too, at once while it knows no nodes; to ask for them takes a second for each that hangs. */
class PromptCluster extends Cluster {
  override delayUntilReady(callback: Parameters<Cluster['delayUntilReady']>[0]): void {
    callback(new Error("Cluster isn't ready"));
  }
}

/** One line when Redis goes, one when it is back, however often the connection is tried in between. */
function logState(connection: Redis, log: Logger): void {
  let away = false;
  connection.on('error', (error: Error) => {
    if (!away)
      log.error(
        { err: whyAway(error).message },
        'Redis cannot be reached: events are refused until it is back',
      );
    away = true;
  });
  connection.on('ready', () => {
    if (away) log.info('Redis is back');
    away = false;
  });
}
