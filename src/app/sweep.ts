import { pino } from 'pino';
import { connectRedis } from '../clients/redis/connections.ts';
import type { Settings } from '../config.ts';
import { LOCATION_ATTRIBUTES } from '../domain/aws-location.ts';
import { loadScripts } from '../jobs/scripts.ts';
import { JobStore } from '../jobs/store.ts';
import { type Applied, applySweep, type OnApplied } from '../sweep/apply.ts';
import { type Comparison, findOrphans, type KnownInstances, suspicion } from '../sweep/find-orphans.ts';
import { type Clients, openClients } from './clients.ts';
import { drySettings } from './dry-run.ts';
import { ShutdownStack } from './shutdown.ts';

export interface SweepOptions {
  /** Ids of all living instances, as a person lists them; EC2 is asked if undefined. */
  living: ReadonlySet<string> | undefined;
  /** Regions to ask EC2 in. @default the configured one */
  regions: readonly string[];
  /** Whether to hand each orphaned node to the service as a deletion. */
  apply: boolean;
  /** Whether to do so even if that looks like a mistake. */
  mostAreDead: boolean;
  onApplied: OnApplied;
}

export interface Swept {
  found: Comparison;
  /** Why nothing was applied, although `apply` was set. */
  refused?: string;
  applied?: Applied[];
}

/**
 * Compares Chef's nodes with the living instances; changes nothing without `apply`. The first error ends it, before anything
 * is applied.
 * @throws SettingsError if settings that are valid by themselves cannot be used; AppError if Chef, EC2 or Redis
 *   cannot be asked
 */
export async function sweep(given: Settings, asked: SweepOptions): Promise<Swept> {
  const settings = given.DRY_RUN ? drySettings(given) : given;
  const shutdown = new ShutdownStack(() => {});
  try {
    const found = await compare(settings, asked, await openClients(settings, shutdown));
    if (!asked.apply) return { found };
    const refused = asked.mostAreDead ? undefined : suspicion(found);
    if (refused !== undefined) return { found, refused };
    const store = openStore(settings, shutdown);
    return { found, applied: await applySweep(found.orphans, store, asked.onApplied) };
  } finally {
    await shutdown.close();
  }
}

/** Opened only to apply something: to compare, Redis is not needed. */
function openStore({ REDIS_URL, REDIS_PREFIX }: Settings, shutdown: ShutdownStack): JobStore {
  const redis = connectRedis(REDIS_URL, REDIS_PREFIX, pino({ level: 'silent' }));
  shutdown.add('Redis', redis, opened => opened.close());
  return new JobStore(redis.commands, loadScripts(redis.commands, REDIS_PREFIX), REDIS_PREFIX, redis.check);
}

/** Chef is asked first: the node of an instance that is launched meanwhile is not among these nodes. */
async function compare(
  settings: Settings,
  { living, regions }: SweepOptions,
  { chef, ec2 }: Clients,
): Promise<Comparison> {
  const attribute = settings.CHEF_INSTANCE_ATTRIBUTE;
  const nodes = await chef.listNodes({
    instance: attribute,
    ohaiTime: 'ohai_time',
    ...LOCATION_ATTRIBUTES,
  });
  const known: KnownInstances = living ? { living } : { regions: await askEc2(regions, ec2) };
  return findOrphans(nodes, known, attribute, new Date());
}

async function askEc2(regions: readonly string[], ec2: Clients['ec2']) {
  const asked = regions.length > 0 ? [...new Set(regions)] : [undefined];
  const answers = [];
  for (const region of asked) answers.push(await ec2.instances(region));
  return answers;
}
