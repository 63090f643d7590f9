import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Logger, pino } from 'pino';
import { createApp, createHealthApp } from './api/app.ts';
import type { Probes } from './api/health.ts';
import { receiver } from './api/receive.ts';
import { snsGate } from './api/verify-sns.ts';
import type { Archive } from './clients/archive.ts';
import { openFileArchive } from './clients/archive-file.ts';
import { AutoScalingClient } from './clients/autoscaling.ts';
import { ChefClient } from './clients/chef.ts';
import { readCredentials } from './clients/chef-credentials.ts';
import { attribute } from './clients/chef-node.ts';
import { NagiosClient } from './clients/nagios.ts';
import { SnsClient } from './clients/sns.ts';
import { Closing } from './closing.ts';
import { type Settings, SettingsError } from './config.ts';
import { AppError, describe } from './errors.ts';
import { Dispatcher } from './jobs/dispatch.ts';
import { Outages } from './jobs/outage.ts';
import { checkRedisKeeps, connectRedis } from './jobs/redis.ts';
import { loadScripts } from './jobs/scripts.ts';
import { lifecycleHeartbeat } from './jobs/steps/lifecycle.ts';
import { createSteps } from './jobs/steps.ts';
import { JobStore } from './jobs/store.ts';
import { Trigger } from './jobs/trigger.ts';
import { startWorker } from './jobs/worker.ts';

export interface Service {
  /** Where it answers. */
  url: string;
  /** Takes no more, finishes or returns what it holds, and closes everything. */
  close: (why: string) => Promise<void>;
}

const CONCURRENCY = 64;
/** A job of a worker that was killed goes on this much later, and half as much again at the most. */
const LOCK_MS = 10_000;

/**
 * Builds everything, and is the only place that does. Parts that cannot be reached do not keep it from starting.
 * @throws SettingsError where settings that are right by themselves cannot be used; AppError where Redis would lose jobs
 */
export async function startService(settings: Settings): Promise<Service> {
  const log = pino({
    level: settings.LOG_LEVEL,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
  const closing = new Closing(message => log.warn(message));
  try {
    const server = await open(settings, log, closing);
    const url = addressOf(server, settings);
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

async function open(settings: Settings, log: Logger, closing: Closing): Promise<Server> {
  const chef = closing.add('Chef client', openChef(settings), client => client.close());
  const nagios = closing.add('Nagios client', openNagios(settings), client => client?.close());
  const archive = closing.add('archive', openArchive(settings.ARCHIVE_URL), opened => opened.close());
  const sns = closing.add(
    'SNS client',
    new SnsClient({ endpoint: settings.AWS_ENDPOINT_URL?.href }),
    client => client.close(),
  );

  const aws = { endpoint: settings.AWS_ENDPOINT_URL?.href, region: settings.AWS_REGION };
  const autoScaling = closing.add('Auto Scaling client', new AutoScalingClient(aws), client =>
    client.close(),
  );

  const prefix = settings.REDIS_PREFIX;
  const redis = closing.add('Redis', connectRedis(settings.REDIS_URL, log), connections =>
    connections.close(),
  );
  await refuseForgetfulRedis(redis.commands, log);
  const run = loadScripts(redis.commands, prefix);
  const store = new JobStore(redis.commands, run, prefix);
  const dispatcher = closing.add('queue', new Dispatcher(redis.commands, prefix, log), opened =>
    opened.close(),
  );
  const trigger = new Trigger(
    redis.commands,
    run,
    {
      prefix,
      command: settings.CHEF_CLIENT_COMMAND,
      settleMs: settings.TRIGGER_SETTLE_SECONDS * 1000,
      timeoutMs: settings.TRIGGER_TIMEOUT_SECONDS * 1000,
    },
    log,
  );

  if (settings.ROLES.has('worker')) {
    const steps = createSteps({
      chef,
      nagios,
      archive,
      attribute,
      instanceAttribute: settings.CHEF_INSTANCE_ATTRIBUTE,
      required: settings.NAGIOS_REQUIRED,
      autoScaling,
      lifecycleResult: settings.LIFECYCLE_RESULT,
      stamp: jobId => trigger.stamp(jobId),
    });
    closing.add('chef-client trigger', trigger, opened => opened.close(), 12_000);
    trigger.start();
    const outages = closing.add(
      'outages',
      new Outages(
        [
          { name: 'chef', probe: () => chef.probe() },
          { name: 'archive', probe: () => archive.probe() },
          ...(nagios && settings.NAGIOS_REQUIRED ? [{ name: 'nagios', probe: () => nagios.probe() }] : []),
        ],
        log,
      ),
      opened => opened.close(),
    );
    closing.add(
      'worker',
      startWorker(
        { prefix, concurrency: CONCURRENCY, lockMs: LOCK_MS },
        {
          redis: redis.blocking,
          store,
          dispatcher,
          steps,
          log,
          outages,
          heartbeat: lifecycleHeartbeat(autoScaling),
          onSettled: () => trigger.check(),
        },
      ),
      worker => worker.close(),
      10_000,
    );
  }

  const probes: Probes = {
    redis: { check: async () => void (await redis.commands.ping()), vital: true },
    chef: { check: () => chef.probe(), vital: false },
    ...(nagios && { nagios: { check: () => nagios.probe(), vital: false } }),
    archive: { check: () => archive.probe(), vital: false },
  };
  void tellWhatIsMissing(probes, log);

  const receive = receiver(store, dispatcher, log);
  const topics = new Set(settings.SNS_TOPIC_ARNS);
  const app = settings.ROLES.has('api')
    ? createApp({
        door: {
          verify: snsGate({ topics: () => topics, certificateHosts: settings.SNS_CERT_HOSTS }),
          receive,
          confirm: (topicArn, token) => sns.confirmSubscription(topicArn, token),
        },
        receive,
        store,
        trigger,
        probes,
        tokens: settings.API_TOKENS,
        log,
      })
    : createHealthApp(probes, log);
  const server = await listen(app, settings);
  return closing.add('API', server, closeServer);
}

/** A Redis that is away at start is waited for while the service runs; one that would lose jobs is refused. */
async function refuseForgetfulRedis(
  redis: Parameters<typeof checkRedisKeeps>[0],
  log: Logger,
): Promise<void> {
  try {
    await checkRedisKeeps(redis, log);
  } catch (error) {
    if (error instanceof AppError) throw error;
    redis.once('ready', () =>
      checkRedisKeeps(redis, log).catch(late => log.fatal({ err: describe(late) }, 'Redis cannot be used')),
    );
  }
}

function openChef(settings: Settings): ChefClient {
  const { CHEF_SERVER_URL, CHEF_CLIENT_NAME, CHEF_CLIENT_KEY, CHEF_PROFILE } = settings;
  try {
    const access =
      CHEF_SERVER_URL && CHEF_CLIENT_NAME && CHEF_CLIENT_KEY
        ? { url: CHEF_SERVER_URL.href, clientName: CHEF_CLIENT_NAME, key: CHEF_CLIENT_KEY }
        : readCredentials(CHEF_PROFILE, `${homedir()}/.chef/credentials`);
    return new ChefClient({ ...access, signing: settings.CHEF_SIGNING });
  } catch (error) {
    const names = CHEF_SERVER_URL ? 'CHEF_SERVER_URL, CHEF_CLIENT_KEY' : 'CHEF_SERVER_URL';
    throw new SettingsError([`${names}: ${CHEF_SERVER_URL ? '' : 'not set, and '}${describe(error)}`]);
  }
}

function openNagios(settings: Settings): NagiosClient | undefined {
  if (!settings.NAGIOS_URL) return undefined;
  return new NagiosClient({
    url: settings.NAGIOS_URL.href,
    username: settings.NAGIOS_USERNAME,
    password: settings.NAGIOS_PASSWORD,
    downtimeMinutes: settings.NAGIOS_DOWNTIME_MINUTES,
    dateFormat: settings.NAGIOS_DATE_FORMAT,
    timezone: settings.NAGIOS_TIMEZONE,
  });
}

function openArchive(url: string): Archive {
  // A relative directory is from where the service was started: file://./archive.
  const relative = url.slice('file://'.length);
  return openFileArchive(
    relative.startsWith('/')
      ? fileURLToPath(url)
      : fileURLToPath(new URL(relative, pathToFileURL(`${process.cwd()}/`))),
  );
}

async function tellWhatIsMissing(probes: Probes, log: Logger): Promise<void> {
  for (const [name, { check }] of Object.entries(probes)) {
    await check().catch(error =>
      log.warn({ part: name, err: describe(error) }, 'not reachable yet; its jobs wait'),
    );
  }
}

async function listen(app: RequestListener, settings: Settings): Promise<Server> {
  const { TLS_CERT_FILE, TLS_KEY_FILE, HOST, PORT } = settings;
  const server =
    TLS_CERT_FILE && TLS_KEY_FILE
      ? createHttpsServer({ cert: readFileSync(TLS_CERT_FILE), key: readFileSync(TLS_KEY_FILE) }, app)
      : createHttpServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(PORT, HOST, resolve);
  });
  return server;
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

function addressOf(server: Server, settings: Settings): string {
  const { address, port, family } = server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return `${settings.TLS_CERT_FILE ? 'https' : 'http'}://${host}:${port}`;
}
