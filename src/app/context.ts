import type { Logger } from 'pino';
import { Alerts } from '../alerts/alerts.ts';
import { connectRedis, type RedisConnections } from '../clients/redis/connections.ts';
import { RedisFault } from '../clients/redis/fault.ts';
import type { Settings } from '../config.ts';
import { ALERTS, type Alert, alert } from '../domain/alert.ts';
import { describe } from '../domain/errors.ts';
import { Trigger } from '../jobs/chef-client-run/trigger.ts';
import { createOutboxDispatcher, createOutboxNotifier, type Dispatcher } from '../jobs/outbox.ts';
import { loadScripts, type RunScript } from '../jobs/scripts.ts';
import { JobStore } from '../jobs/store.ts';
import { createMetrics, type Metrics } from '../observability/metrics.ts';
import { NO_TRACING, type Tracing } from '../observability/tracing.ts';
import { type Clients, openClients } from './clients.ts';
import { dryClients } from './dry-run.ts';
import type { ShutdownStack } from './shutdown.ts';

/** What every role is built from. */
export interface ServiceContext {
  settings: Settings;
  log: Logger;
  shutdown: ShutdownStack;
  clients: Clients;
  redis: RedisConnections;
  run: RunScript;
  store: JobStore;
  dispatcher: Dispatcher;
  trigger: Trigger;
  alerts: Alerts;
  metrics: Metrics;
  tracing: Tracing;
}

/** @throws SettingsError, AppError as `startService` does */
export async function openContext(
  settings: Settings,
  log: Logger,
  shutdown: ShutdownStack,
): Promise<ServiceContext> {
  const metrics = createMetrics();
  const tracing = shutdown.add('tracing', await openTracing(settings), opened => opened.close());
  const opened = await openClients(settings, shutdown, metrics.call);
  const clients = settings.DRY_RUN ? dryClients(opened) : opened;
  const prefix = settings.REDIS_PREFIX;
  const redis = shutdown.add('Redis', connectRedis(settings.REDIS_URL, prefix, log), opened =>
    opened.close(),
  );
  const channels = clients.alertChannels;
  const alerts = new Alerts({ redis: redis.commands, prefix, channels, log });
  shutdown.add('alerts', alerts, opened => opened.close());
  redis.check.onFault(fault => alerts.raise(redisAlert(fault)));
  await refuseUnfitRedis(redis);
  const run = watched(loadScripts(redis.commands, prefix), redis);
  const dispatcher = settings.ROLES.has('worker')
    ? createOutboxDispatcher(redis.commands, run, prefix, log)
    : createOutboxNotifier(redis.commands, prefix);
  const triggerOptions = {
    prefix,
    command: settings.CHEF_CLIENT_COMMAND,
    settleMs: settings.TRIGGER_SETTLE_SECONDS * 1000,
    timeoutMs: settings.TRIGGER_TIMEOUT_SECONDS * 1000,
    onFailure: (said: string) => alerts.raise(alert('trigger-failed', said)),
    onBlocked: (said: string) => alerts.raise(alert('trigger-blocked', said)),
    onRun: (result: string, seconds: number) => metrics.triggerRuns.observe({ result }, seconds),
  };
  return {
    settings,
    log,
    shutdown,
    clients,
    redis,
    run,
    store: new JobStore(redis.commands, run, prefix, redis.check),
    dispatcher: shutdown.add('queue', dispatcher, opened => opened.close()),
    trigger: new Trigger(redis.commands, run, triggerOptions, log),
    alerts,
    metrics,
    tracing,
  };
}

/** Loaded where it is wanted: it is larger than the service. */
async function openTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }: Settings): Promise<Tracing> {
  if (!endpoint) return NO_TRACING;
  const { openOtlpTracing } = await import('../observability/otlp.ts');
  return openOtlpTracing(endpoint.href);
}

function redisAlert({ what, toDo, cause }: RedisFault): Alert {
  const why = cause === undefined ? '' : `: ${describe(cause)}`;
  return alert('redis-away', what + why, {}, `${toDo}; ${ALERTS['redis-away'].whatToDo}`);
}

/** Has the check look again if Redis refuses a script. */
function watched(run: RunScript, { check }: RedisConnections): RunScript {
  return (name, ...args) =>
    run(name, ...args).catch(error => {
      check.suspect(error);
      throw error;
    });
}

/** The service waits for a Redis that is away, full or read-only; it does not start if only a person can help. */
async function refuseUnfitRedis({ check }: RedisConnections): Promise<void> {
  try {
    await check.now();
  } catch (error) {
    if (error instanceof RedisFault && error.lasting) throw error;
  }
}
