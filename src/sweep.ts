import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { Closing } from './closing.ts';
import type { Settings } from './config.ts';
import { drySettings } from './dry-run.ts';
import { AppError, describe } from './errors.ts';
import { type Comparison, findGhosts, type Instances, suspicion } from './ghosts.ts';
import { type Clients, openClients } from './open-clients.ts';
import { applySweep } from './sweep-apply.ts';
import { parseLiving, readSweepArguments, SWEEP_USAGE, type SweepArguments } from './sweep-arguments.ts';
import { sweepJson, sweepTable } from './sweep-report.ts';

export interface Terminal {
  stdin: AsyncIterable<Uint8Array | string>;
  say: (text: string) => void;
  complain: (text: string) => void;
}

/**
 * Compares Chef's nodes with the instances that live, and tells of ghosts; changes nothing unless told to.
 * @returns the exit status
 * @throws SettingsError where settings that are right by themselves cannot be used
 */
export async function sweep(
  given: Settings,
  args: readonly string[],
  terminal: Terminal,
): Promise<0 | 1 | 2 | 3> {
  const settings = given.DRY_RUN ? drySettings(given) : given;
  const closing = new Closing(terminal.complain);
  try {
    const asked = readSweepArguments(args);
    if (asked.help) {
      terminal.say(SWEEP_USAGE);
      return 0;
    }
    const found = await compare(settings, asked, openClients(settings, closing), terminal);
    const why = suspicion(found);
    const refused = asked.apply && !asked.mostAreDead && why !== undefined;
    const applied = asked.apply && !refused ? await applySweep(found.ghosts, settings) : undefined;
    terminal.say((asked.json ? sweepJson : sweepTable)(found, new Date(), applied));
    if (!refused) return 0;
    terminal.complain(`nothing was applied: ${why}. If that is true, add --most-are-dead`);
    return 3;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    terminal.complain(describe(error));
    return error.code === 'invalid' ? 2 : 1;
  } finally {
    await closing.close();
  }
}

/** Chef is asked first: an instance that comes into being meanwhile is then among the living, and has no node here. */
async function compare(
  settings: Settings,
  asked: SweepArguments,
  clients: Clients,
  { stdin }: Terminal,
): Promise<Comparison> {
  const attribute = settings.CHEF_INSTANCE_ATTRIBUTE;
  const list = asked.living === undefined ? undefined : parseLiving(await read(asked.living, stdin));
  const nodes = await clients.chef.listNodes({
    instance: attribute,
    ohaiTime: 'ohai_time',
    region: 'ec2.region',
  });
  const instances: Instances = list
    ? { states: list, regions: undefined, unknown: 'not in the list of living instances' }
    : await askEc2(settings, asked.regions, clients);
  return findGhosts(nodes, instances, attribute);
}

async function askEc2(settings: Settings, given: string[], { ec2 }: Clients): Promise<Instances> {
  const regions = given.length > 0 ? given : [settings.AWS_REGION];
  const states = new Map<string, string | undefined>();
  for (const region of regions) for (const [id, state] of await ec2.instances(region)) states.set(id, state);
  const known = regions.filter(region => region !== undefined);
  return { states, regions: known.length > 0 ? new Set(known) : undefined, unknown: 'EC2 does not know it' };
}

async function read(path: string, stdin: Terminal['stdin']): Promise<string> {
  try {
    return path === '-' ? await text(stdin) : await readFile(path, 'utf8');
  } catch (error) {
    throw new AppError('invalid', `the list of living instances ${path} cannot be read`, { cause: error });
  }
}
