import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { type Logger, pino } from 'pino';
import { connectRedis } from '../clients/redis/connections.ts';
import type { Settings } from '../config.ts';
import { AppError, describe } from '../domain/errors.ts';
import { pairNames } from '../domain/pair-names.ts';
import { withTimeLimit } from '../lib/time-limit.ts';
import { lookUp } from '../provisioning/provision.ts';
import { type Clients, openClients } from './clients.ts';
import { dryClients } from './dry-run.ts';
import { ShutdownStack } from './shutdown.ts';

/** What was found of one part: all is well, it is not used, or what to do. */
export interface Finding {
  part: string;
  state: 'ok' | 'unused' | 'fault';
  note?: string;
}

/** Above what any client takes; a disk that hangs takes forever. */
const LIMIT_MS = 30_000;

type Look = () => Promise<Omit<Finding, 'part'> | undefined>;

/**
 * Looks at everything that the settings name, and changes nothing but for a file that the archive writes and removes.
 * @throws SettingsError where settings that are right by themselves cannot be used
 */
export async function check(settings: Settings): Promise<Finding[]> {
  const shutdown = new ShutdownStack(() => {});
  try {
    const opened = await openClients(settings, shutdown);
    const clients = settings.DRY_RUN ? dryClients(opened) : opened;
    const looks = Object.entries(parts(settings, clients, shutdown));
    const findings = await Promise.all(looks.map(([part, look]) => find(part, look)));
    return [{ part: 'settings', state: 'ok' }, ...findings];
  } finally {
    await shutdown.close();
  }
}

async function find(part: string, look: Look): Promise<Finding> {
  const late = () => {
    throw new Error(`no answer within ${LIMIT_MS / 1000} s`);
  };
  try {
    return { part, ...((await withTimeLimit(look(), LIMIT_MS, late)) ?? { state: 'ok' }) };
  } catch (error) {
    return { part, state: 'fault', note: describe(error) };
  }
}

function parts(settings: Settings, clients: Clients, shutdown: ShutdownStack): Record<string, Look> {
  const { chef, nagios, archive } = clients;
  return {
    redis: () => redis(settings, shutdown),
    chef: () => chef.probe().then(() => undefined),
    nagios: async () => {
      if (!nagios) return { state: 'unused', note: 'NAGIOS_URL is not set: hosts get no downtime' };
      return nagios.probe().then(() => undefined, unlessOptional(settings.NAGIOS_REQUIRED));
    },
    archive: () => archive.probe().then(() => undefined),
    aws: () => aws(settings, clients),
    'chef-client': () => chefClient(settings),
  };
}

async function redis(settings: Settings, shutdown: ShutdownStack): Promise<Omit<Finding, 'part'>> {
  const { log, warnings } = listener();
  const opened = connectRedis(settings.REDIS_URL, settings.REDIS_PREFIX, log);
  shutdown.add('Redis', opened, each => each.close());
  await opened.check.now();
  return { state: 'ok', ...(warnings.length > 0 && { note: warnings.join('; ') }) };
}

/** A Nagios that can show no downtime is good enough where none must be proved. */
function unlessOptional(required: boolean): (error: unknown) => Omit<Finding, 'part'> {
  return error => {
    if (required || !(error instanceof AppError && error.code === 'unsupported')) throw error;
    return { state: 'ok', note: describe(error) };
  };
}

/** A log that is only read here: what Redis is warned of at start. */
function listener(): { log: Logger; warnings: string[] } {
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: line => void warnings.push(JSON.parse(line).msg) });
  return { log, warnings };
}

async function aws(settings: Settings, { sns, sqs }: Clients): Promise<Omit<Finding, 'part'> | undefined> {
  const { PROVISION, SQS_QUEUE_URLS, HOST_QUEUE_URLS } = settings;
  const queues = [...SQS_QUEUE_URLS, ...HOST_QUEUE_URLS];
  for (const { href } of queues) await sqs.attributes(href, ['QueueArn']);
  const names = pairNames(settings);
  if (!names) {
    const note = 'QUEUE_ID is not set: no topic and no queue of this service’s own';
    return { state: queues.length > 0 ? 'ok' : 'unused', note };
  }
  const absent: string[] = [];
  for (const name of Object.values(names)) {
    const missing = await missingOf(name, sns, sqs);
    if (missing && !PROVISION) throw new AppError('not-found', `${missing}: make it, or set PROVISION=true`);
    if (missing) absent.push(name);
  }
  if (absent.length === 0) return undefined;
  return { state: 'ok', note: `not there yet; the service makes it at start: ${absent.join(', ')}` };
}

/** @returns what does not exist of a pair of topic and queue; undefined if both exist */
async function missingOf(
  name: string,
  sns: Clients['sns'],
  sqs: Clients['sqs'],
): Promise<string | undefined> {
  try {
    const { topicArn } = await lookUp({ sqs, name });
    return (await sns.topicExists(topicArn)) ? undefined : `${topicArn} does not exist`;
  } catch (error) {
    if (error instanceof AppError && error.code === 'not-found') return describe(error);
    throw error;
  }
}

async function chefClient(settings: Settings): Promise<Omit<Finding, 'part'> | undefined> {
  const [program = ''] = settings.CHEF_CLIENT_COMMAND;
  if (!settings.ROLES.has('trigger'))
    return { state: 'unused', note: 'ROLES has no trigger: not run by this process' };
  if (!program.includes('/')) return undefined;
  await access(program, constants.X_OK).catch(() => {
    throw new AppError('not-found', `${program} cannot be run: install it, or set CHEF_CLIENT_COMMAND right`);
  });
  return undefined;
}
