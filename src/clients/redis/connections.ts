import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { describe } from '../../domain/errors.ts';
import { type RedisCheck, redisCheck } from './durability.ts';
import type { RedisTarget } from './url.ts';

/** Below the five seconds within which a sender must learn that Redis does not answer. */
const COMMAND_TIMEOUT_MS = 3_000;

const LONGEST_RETRY_MS = 2_000;

/** Above the ten seconds for which BullMQ waits for a job at most. */
const BLOCKED_TIMEOUT_MS = 15_000;

/**
 * Two connections with opposite profiles: `commands` gives up soon, so that callers learn of an outage; `blocking`
 * waits forever, as BullMQ's workers need it.
 */
export interface RedisConnections {
  /**
   * A Cluster, too, goes by the type of a single Redis: it takes the same commands, and all our keys are in one slot.
   */
  commands: Redis;
  blocking: Redis;
  check: RedisCheck;
  /** Stops connecting if Redis is away, so that nothing that is closed after this waits for it. */
  giveUp(): void;
  close(): Promise<void>;
}

export function connectRedis(target: RedisTarget, prefix: string, log: Logger): RedisConnections {
  let leaving = false;
  const retryStrategy = (attempt: number) =>
    leaving ? null : Math.min(50 * 2 ** Math.min(attempt, 6), LONGEST_RETRY_MS);
  const commands = connect(target, 'chef-deregistration', {
    commandTimeout: COMMAND_TIMEOUT_MS,
    maxRetriesPerRequest: 1,
    socketTimeout: COMMAND_TIMEOUT_MS + 1_000,
    retryStrategy,
  });
  const blocking = connect(target, 'chef-deregistration-worker', {
    maxRetriesPerRequest: null,
    socketTimeout: BLOCKED_TIMEOUT_MS,
    retryStrategy,
  });
  const check = redisCheck(commands, {
    prefix,
    user: target.username ?? 'default',
    replicas: target.kind !== 'single',
    log,
  });
  tellOfWorkers(blocking, commands, log);
  return {
    commands,
    blocking,
    check,
    giveUp() {
      if (!check.fault()?.unreachable) return;
      leaving = true;
      check.close();
      // ioredis lets commands wait on if it is disconnected between two attempts to connect.
      for (const connection of [commands, blocking])
        if (connection.status !== 'reconnecting') connection.disconnect();
    },
    async close() {
      check.close();
      for (const connection of [commands, blocking]) connection.disconnect();
    },
  };
}

/**
 * A Redis that hangs closes no connection: without `socketTimeout` the one that Sentinels put in its place is never
 * found. Their own notice of it, ioredis' `failoverDetector`, can end a connection for good while it is being made.
 */
type ConnectionProfile = Pick<RedisOptions, 'commandTimeout' | 'maxRetriesPerRequest' | 'socketTimeout'> & {
  retryStrategy: (attempt: number) => number | null;
};

function connect(target: RedisTarget, connectionName: string, profile: ConnectionProfile): Redis {
  const { retryStrategy, ...limits } = profile;
  const { username, password } = target;
  const tls = target.tls ? { tls: {} } : {};
  const options = {
    ...limits,
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

/** Logs if only the workers' connection is lost; the check tells if Redis itself cannot be used. */
function tellOfWorkers(blocking: Redis, commands: Redis, log: Logger): void {
  let timer: NodeJS.Timeout | undefined;
  let told = false;
  let why = '';
  blocking.on('error', (error: Error) => {
    why = describe(error);
  });
  blocking.on('close', () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      if (told || blocking.status === 'ready' || commands.status !== 'ready') return;
      told = true;
      log.error({ err: why }, 'the workers have no connection to Redis: jobs wait until they have one');
    }, COMMAND_TIMEOUT_MS);
    timer.unref();
  });
  blocking.on('ready', () => {
    if (told) log.info('the workers have a connection to Redis again: jobs go on');
    told = false;
  });
}
