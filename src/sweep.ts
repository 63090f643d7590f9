import { Closing } from './closing.ts';
import type { Settings } from './config.ts';
import { drySettings } from './dry-run.ts';
import { type Comparison, findGhosts, type Instances, suspicion } from './ghosts.ts';
import { type Clients, openClients } from './open-clients.ts';
import { type Applied, applySweep, type OnApplied } from './sweep-apply.ts';

export interface SweepOptions {
  /** The instances that live, with their state; EC2 is asked where undefined. */
  living: ReadonlyMap<string, string> | undefined;
  /** Regions to ask EC2 in; the configured one where there are none. */
  regions: readonly string[];
  /** Whether to hand each ghost to the service as a deletion. */
  apply: boolean;
  /** Whether to do so even where that looks like a mistake. */
  mostAreDead: boolean;
  onApplied: OnApplied;
}

export interface Swept {
  found: Comparison;
  /** Why nothing was applied although it was asked for. */
  refused?: string;
  applied?: Applied[];
}

/**
 * Compares Chef's nodes with the instances that live; changes nothing unless told to.
 * @throws SettingsError where settings that are right by themselves cannot be used; AppError where Chef, EC2 or Redis
 *   cannot be asked
 */
export async function sweep(given: Settings, asked: SweepOptions): Promise<Swept> {
  const settings = given.DRY_RUN ? drySettings(given) : given;
  const closing = new Closing(() => {});
  try {
    const found = await compare(settings, asked, await openClients(settings, closing));
    if (!asked.apply) return { found };
    const refused = asked.mostAreDead ? undefined : suspicion(found);
    if (refused !== undefined) return { found, refused };
    return { found, applied: await applySweep(found.ghosts, settings, asked.onApplied) };
  } finally {
    await closing.close();
  }
}

/** Chef is asked first: an instance that comes into being meanwhile is then among the living, and has no node here. */
async function compare(
  settings: Settings,
  { living, regions }: SweepOptions,
  { chef, ec2 }: Clients,
): Promise<Comparison> {
  const attribute = settings.CHEF_INSTANCE_ATTRIBUTE;
  const nodes = await chef.listNodes({ instance: attribute, ohaiTime: 'ohai_time', region: 'ec2.region' });
  const instances: Instances = living
    ? { states: living, regions: undefined, unknown: 'not in the list of living instances' }
    : await askEc2(regions.length > 0 ? regions : [settings.AWS_REGION], ec2);
  return findGhosts(nodes, instances, attribute);
}

async function askEc2(regions: readonly (string | undefined)[], ec2: Clients['ec2']): Promise<Instances> {
  const states = new Map<string, string | undefined>();
  for (const region of regions)
    for (const [id, state] of (await ec2.instances(region)).states) states.set(id, state);
  const known = regions.filter(region => region !== undefined);
  return { states, regions: known.length > 0 ? new Set(known) : undefined, unknown: 'EC2 does not know it' };
}
