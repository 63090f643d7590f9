import { type Logger, pino } from 'pino';
import { alert } from './alert.ts';
import { createApp, createHealthApp } from './api/app.ts';
import { countedReceive, countedVerify } from './api/counted.ts';
import type { Probes } from './api/health.ts';
import { type Listening, listen } from './api/listen.ts';
import { liveStream } from './api/live.ts';
import { scraper } from './api/metrics.ts';
import { receiver } from './api/receive.ts';
import { startPoller } from './api/sqs.ts';
import { tracedReceive } from './api/traced.ts';
import { hostGate } from './api/verify-host.ts';
import { snsGate } from './api/verify-sns.ts';
import { archivedKeys } from './clients/archived-keys.ts';
import { attribute, ohaiTime } from './clients/chef-node.ts';
import { SigningCertificates } from './clients/signing-certificate.ts';
import type { SqsClient } from './clients/sqs.ts';
import { Closing } from './closing.ts';
import type { Settings } from './config.ts';
import { dryClients, drySettings } from './dry-run.ts';
import { AppError, describe } from './errors.ts';
import { Alerts } from './jobs/alerts.ts';
import { deletionBudget } from './jobs/budget.ts';
import { takeCensus } from './jobs/census.ts';
import { changesIn } from './jobs/changes.ts';
import { Dispatcher, openQueue } from './jobs/dispatch.ts';
import { drySteps } from './jobs/dry-steps.ts';
import { lastHours } from './jobs/hours.ts';
import { nonceRegister } from './jobs/nonces.ts';
import { Outages } from './jobs/outage.ts';
import { connectRedis, type RedisConnections } from './jobs/redis.ts';
import { keepRetention } from './jobs/retention.ts';
import { loadScripts, type RunScript } from './jobs/scripts.ts';
import { lifecycleHeartbeat } from './jobs/steps/lifecycle.ts';
import { zombieLook } from './jobs/steps/zombie.ts';
import { createSteps } from './jobs/steps.ts';
import { type JobRecord, JobStore } from './jobs/store.ts';
import { timedSteps } from './jobs/timed-steps.ts';
import { tracedSteps } from './jobs/traced-steps.ts';
import { Trigger } from './jobs/trigger.ts';
import { startWorker } from './jobs/worker.ts';
import { Zombies } from './jobs/zombies.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { type Clients, openClients } from './open-clients.ts';
import { keepProvisioned } from './provision.ts';
import { NO_TRACING, openTracing, type Tracing } from './tracing.ts';

export interface Service {
  /** Where it answers. */
  url: string;
  /** Takes no more, finishes or returns what it holds, and closes everything. */
  close: (why: string) => Promise<void>;
}

/** What every role is built from. */
interface Base {
  settings: Settings;
  log: Logger;
  closing: Closing;
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

const CONCURRENCY = 64;
/** A job of a worker that was killed goes on this much later, and half as much again at the most. */
const LOCK_MS = 10_000;

/**
 * Builds everything, and is the only place that does. Parts that cannot be reached do not keep it from starting.
 * @throws SettingsError where settings that are right by themselves cannot be used; AppError where Redis would lose jobs
 */
export async function startService(given: Settings): Promise<Service> {
  const settings = given.DRY_RUN ? drySettings(given) : given;
  const log = pino({
    level: settings.LOG_LEVEL,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
  const closing = new Closing(message => log.warn(message));
  try {
    const base = await openBase(settings, log, closing);
    if (settings.ROLES.has('worker')) startWork(base);
    if (settings.DRY_RUN)
      log.warn('DRY_RUN is set: nothing is changed, each job tells what it would have done');
    const { url } = await openDoors(base);
    log.info({ url, roles: [...settings.ROLES] }, 'chef-deregistration-manager is up');
    return {
      url,
      async close(why) {
        log.info({ why }, 'stopping');
        await closing.close();
        log.info('stopped');
      },
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

async function openBase(settings: Settings, log: Logger, closing: Closing): Promise<Base> {
  const metrics = createMetrics();
  const endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT?.href;
  const tracing = closing.add('tracing', endpoint ? openTracing(endpoint) : NO_TRACING, opened =>
    opened.close(),
  );
  const opened = openClients(settings, closing, metrics.call);
  const clients = settings.DRY_RUN ? dryClients(opened) : opened;
  const prefix = settings.REDIS_PREFIX;
  const redis = closing.add('Redis', connectRedis(settings.REDIS_URL, prefix, log), opened => opened.close());
  const channels = clients.alertChannels;
  const alerts = new Alerts({ redis: redis.commands, prefix, channels, log });
  closing.add('alerts', alerts, opened => opened.close());
  redis.commands.on('error', error => alerts.raise(alert('redis-away', describe(error))));
  await refuseForgetfulRedis(redis);
  const run = loadScripts(redis.commands, prefix);
  const dispatcher = new Dispatcher(redis.commands, prefix, log);
  const triggerOptions = {
    prefix,
    command: settings.CHEF_CLIENT_COMMAND,
    settleMs: settings.TRIGGER_SETTLE_SECONDS * 1000,
    timeoutMs: settings.TRIGGER_TIMEOUT_SECONDS * 1000,
    onFailure: (said: string) => alerts.raise(alert('trigger-failed', said)),
    onRun: (result: string, seconds: number) => metrics.triggerRuns.observe({ result }, seconds),
  };
  return {
    settings,
    log,
    closing,
    clients,
    redis,
    run,
    store: new JobStore(redis.commands, run, prefix, redis.check),
    dispatcher: closing.add('queue', dispatcher, opened => opened.close()),
    trigger: new Trigger(redis.commands, run, triggerOptions, log),
    alerts,
    metrics,
    tracing,
  };
}

/** The role `worker`: jobs, and the chef-client run after them. */
function startWork(base: Base): void {
  const {
    settings,
    log,
    closing,
    clients,
    redis,
    run,
    store,
    dispatcher,
    trigger,
    alerts,
    metrics,
    tracing,
  } = base;
  const { chef, nagios, archive, autoScaling, ec2 } = clients;
  const reading = { attribute, ohaiTime, instanceAttribute: settings.CHEF_INSTANCE_ATTRIBUTE };
  const zombies = new Zombies({
    redis: redis.commands,
    run,
    prefix: settings.REDIS_PREFIX,
    store,
    dispatcher,
    look: zombieLook({ chef, ...reading }),
    raise: alerts.raise,
    log,
  });
  closing.add('zombies', zombies, opened => opened.close());
  zombies.start();
  const dependencies = {
    ...reading,
    chef,
    nagios,
    archive,
    autoScaling,
    ec2: settings.VERIFY_EC2 ? ec2 : undefined,
    protectedNodes: settings.PROTECTED_NODES,
    spend: deletionBudget(run, {
      maxDeletes: settings.MAX_DELETES,
      windowMinutes: settings.MAX_DELETES_WINDOW_MINUTES,
    }),
    required: settings.NAGIOS_REQUIRED,
    lifecycleResult: settings.LIFECYCLE_RESULT,
    stamp: (jobId: string) => trigger.stamp(jobId),
    expectReturn: (jobId: string) => zombies.expect(jobId),
    raise: alerts.raise,
    downtimeJobs: (job: JobRecord) => store.downtimeJobs(job),
  };
  const realSteps = createSteps(dependencies);
  const steps = settings.DRY_RUN ? drySteps(realSteps, dependencies) : realSteps;
  const vitals = [
    { name: 'chef', probe: () => chef.probe() },
    { name: 'archive', probe: () => archive.probe() },
    ...(nagios && settings.NAGIOS_REQUIRED ? [{ name: 'nagios', probe: () => nagios.probe() }] : []),
  ];
  // A run under way gets ten seconds to end after SIGTERM.
  closing.add('chef-client trigger', trigger, opened => opened.close(), 12_000);
  trigger.start();
  const outages = closing.add('outages', new Outages(vitals, log, tellPause(alerts)), opened =>
    opened.close(),
  );
  const worker = startWorker(
    { prefix: settings.REDIS_PREFIX, concurrency: CONCURRENCY, lockMs: LOCK_MS },
    {
      redis: redis.blocking,
      store,
      dispatcher,
      steps: timedSteps(tracedSteps(steps, tracing), (step, outcome, seconds) =>
        metrics.steps.observe({ step, outcome }, seconds),
      ),
      log,
      outages,
      heartbeat: lifecycleHeartbeat(autoScaling),
      onTrouble: (job, state, { code, message }) =>
        alerts.raise(
          // One alert for all: each of hundreds would say the same.
          isForAll(code)
            ? alert(ALERT_FOR_ALL[code], message)
            : alert(`job-${state}`, message, { ...job, job: job.id }),
        ),
      onSettled(job, state) {
        countJob(metrics, job, state);
        trigger.check();
      },
    },
  );
  closing.add('worker', worker, opened => opened.close(), 10_000);
  const days = settings.ARCHIVE_DAYS;
  if (days > 0) {
    const retention = { redis: redis.commands, prefix: settings.REDIS_PREFIX, archive, days, log };
    closing.add('retention', keepRetention(retention), opened => opened.close());
  }
}

const ALERT_FOR_ALL = {
  'over-budget': 'too-many-deletions',
  unverified: 'instances-unverified',
} as const;

function isForAll(code: string): code is keyof typeof ALERT_FOR_ALL {
  return Object.hasOwn(ALERT_FOR_ALL, code);
}

function countJob({ jobs, sinceEvent }: Metrics, job: JobRecord, outcome: string): void {
  const secondsSince = (time: number) => Math.max(0, (Date.now() - time) / 1000);
  jobs.observe({ kind: job.kind, outcome }, secondsSince(Date.parse(job.receivedAt)));
  if (outcome === 'done') sinceEvent.observe({ kind: job.kind }, secondsSince(job.publishedAt.getTime()));
}

/** A Chef server that refuses who we are needs another person than one that is away. */
function tellPause(alerts: Alerts): (part: string, error: unknown) => void {
  return (part, error) => {
    const refused = part === 'chef' && error instanceof AppError && error.code === 'credentials';
    alerts.raise(
      alert(refused ? 'chef-credentials' : 'jobs-paused', `${part} cannot be used: ${describe(error)}`),
    );
  };
}

/** The roles `api` and `poller`: every way by which news comes in. */
async function openDoors({
  settings,
  log,
  closing,
  clients,
  redis,
  store,
  dispatcher,
  trigger,
  alerts,
  metrics,
  tracing,
}: Base): Promise<Listening> {
  const { chef, nagios, archive, sns, sqs } = clients;
  const hasApi = settings.ROLES.has('api');
  const hasPoller = settings.ROLES.has('poller');
  const ready = () => redis.check.now();
  const topics = new Set(settings.SNS_TOPIC_ARNS);
  const queues = new Set(settings.SQS_QUEUE_URLS.map(url => url.href));
  const certificates = closing.add('certificates of SNS', new SigningCertificates(metrics.call), opened =>
    opened.close(),
  );
  const verify = snsGate({
    topics: () => topics,
    certificateHosts: settings.SNS_CERT_HOSTS,
    certificate: url => certificates.get(url),
  });
  const doubtHost = hostGate({
    required: settings.NODE_SIGNATURES === 'required',
    audiences: audiences(settings),
    keys: client => chef.getClientKeys(client),
    archivedKeys: client => archivedKeys(archive, client),
    claimNonce: nonceRegister(redis.commands, settings.REDIS_PREFIX),
  });
  const receive = tracedReceive(
    countedReceive(receiver(store, dispatcher, doubtHost, log), metrics),
    tracing,
  );
  const probes: Probes = {
    redis: { check: ready, vital: true },
    chef: { check: () => chef.probe(), vital: false },
    ...(nagios && { nagios: { check: () => nagios.probe(), vital: false } }),
    archive: { check: () => archive.probe(), vital: false },
    ...((settings.QUEUE_ID || queues.size > 0) && {
      sqs: { check: () => reach(sqs, queues), vital: false },
    }),
  };
  void tellWhatIsMissing(probes, log);

  const census = () => takeCensus(redis.commands, settings.REDIS_PREFIX);
  const live = liveStream(changesIn(redis.commands, settings.REDIS_PREFIX), store);
  const scrape = scraper(metrics, {
    census,
    alerts: () => alerts.counts(),
    certificates: () => certificates.size,
  });
  const confirm = (topicArn: string, token: string) => sns.confirmSubscription(topicArn, token);
  const app = hasApi
    ? createApp({
        door: { verify: countedVerify(verify, 'sns', metrics), receive, confirm, raise: alerts.raise },
        receive,
        store,
        dispatcher,
        trigger,
        archive,
        probes,
        scrape,
        tracing,
        live,
        summary: { census, hours: count => lastHours(redis.commands, settings.REDIS_PREFIX, count) },
        openQueue: () => openQueue(redis.commands, settings.REDIS_PREFIX),
        tokens: settings.API_TOKENS,
        log,
      })
    : createHealthApp(probes, scrape, log);
  const { HOST: host, PORT: port, TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = settings;
  const tls = certFile && keyFile ? { certFile, keyFile } : undefined;
  const listening = closing.add('API', await listen(app, { host, port, tls }, log), server => server.close());
  // Before the API, which waits for all that is under way.
  closing.add('live', live, opened => opened.close());

  const poller =
    hasPoller &&
    startPoller([...queues], {
      sqs,
      verify: countedVerify(verify, 'sqs', metrics),
      receive,
      ready,
      keep: settings.DRY_RUN,
      log,
    });
  if (poller) closing.add('poller', poller, opened => opened.close(), 8_000);

  // After listening: SNS asks the API to confirm as soon as it is told to push there.
  if (settings.QUEUE_ID && (hasApi || hasPoller)) {
    const keeping = keepProvisioned({
      sns,
      sqs,
      log,
      name: `${settings.QUEUE_NAME}-${settings.QUEUE_ID}`,
      create: settings.PROVISION,
      publicUrl: hasApi ? settings.PUBLIC_URL : undefined,
      onReady({ topicArn, queueUrl }) {
        topics.add(topicArn);
        queues.add(queueUrl);
        if (poller) poller.add(queueUrl);
      },
    });
    closing.add('provisioning', keeping, opened => opened.close());
  } else if (hasApi || hasPoller) {
    log.warn('QUEUE_ID is not set: no topic and no queue of this service’s own');
  }
  return listening;
}

async function reach(sqs: SqsClient, queues: Iterable<string>): Promise<void> {
  for (const url of queues) await sqs.attributes(url, ['QueueArn']);
}

/** The names of topics and queues that a host may have signed its message for. */
function audiences({ QUEUE_NAME, QUEUE_ID, SNS_TOPIC_ARNS, SQS_QUEUE_URLS }: Settings): Set<string> {
  const topics = SNS_TOPIC_ARNS.map(arn => arn.split(':').at(-1) ?? '');
  const queues = SQS_QUEUE_URLS.map(url => url.pathname.split('/').at(-1) ?? '');
  return new Set([...(QUEUE_ID ? [`${QUEUE_NAME}-${QUEUE_ID}`] : []), ...topics, ...queues]);
}

/** A Redis that is away at start is waited for while the service runs; one that would lose jobs is refused. */
async function refuseForgetfulRedis({ check }: RedisConnections): Promise<void> {
  try {
    await check.now();
  } catch (error) {
    if (error instanceof AppError) throw error;
  }
}

async function tellWhatIsMissing(probes: Probes, log: Logger): Promise<void> {
  for (const [name, { check }] of Object.entries(probes)) {
    const tell = (error: unknown) =>
      log.warn({ part: name, err: describe(error) }, 'not reachable yet; its jobs wait');
    await check().catch(tell);
  }
}
