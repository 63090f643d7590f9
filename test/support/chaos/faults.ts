import { setTimeout as delay } from 'node:timers/promises';
import type { HttpProxy } from '../http-proxy.ts';
import type { World } from '../world.ts';
import type { Fleet } from './fleet.ts';
import type { Random } from './random.ts';

export interface Faults {
  /** Lets one thing go wrong, which passes after a while. @returns what; undefined where it is wrong already */
  strike: () => string | undefined;
  /** Kills all workers with -9; they start again at once. @returns what it did */
  killWorkers: () => string;
  /** How often each went wrong. */
  readonly counts: Map<string, number>;
  /** Resolves when all is well again. */
  over: () => Promise<void>;
}

export interface FaultyParts {
  world: World;
  chef: HttpProxy;
  fleet: Fleet;
  /** Longest time for which a part is away, in milliseconds. */
  longestMs: number;
  random: Random;
}

interface Fault {
  name: string;
  weight: number;
  /** Only one fault of a part at a time. */
  part?: string;
  strike: (forMs: number) => Promise<void> | string | undefined;
}

/** A worker is stopped for longer than its lock lasts, which is ten seconds. */
const FREEZE_MS = 16_000;

export function createFaults({ world, chef, fleet, longestMs, random }: FaultyParts): Faults {
  const { redis, nagios } = world;
  const any = (strike: (member: number) => string) =>
    fleet.up.length > 0 ? strike(random.pick(fleet.up)) : undefined;
  const faults: Fault[] = [
    { name: 'kill -9 of', weight: 8, strike: forMs => any(member => fleet.kill(member, forMs / 3)) },
    {
      name: 'SIGSTOP of',
      weight: longestMs > 1_000 ? 1 : 0,
      strike: () => any(member => fleet.freeze(member, FREEZE_MS)),
    },
    { name: 'kill -9 of Redis', weight: 3, part: 'redis', strike: () => redis.restart() },
    {
      name: 'SIGSTOP of Redis',
      weight: 1,
      part: 'redis',
      strike: forMs =>
        meanwhile(
          forMs,
          () => redis.pause(),
          () => redis.resume(),
        ),
    },
    {
      name: 'SIGSTOP of Chef',
      weight: 1,
      part: 'chef',
      strike: forMs =>
        meanwhile(
          forMs,
          () => world.chef.child.kill('SIGSTOP'),
          () => world.chef.child.kill('SIGCONT'),
        ),
    },
    {
      name: 'connections refused by Chef',
      weight: 1,
      part: 'chef',
      strike: forMs => meanwhile(forMs, chef.refuse, chef.open),
    },
    {
      name: 'answers 500 of Chef',
      weight: 1,
      part: 'chef',
      strike: forMs =>
        meanwhile(
          forMs,
          () => {
            chef.mode = 'fail';
          },
          () => {
            chef.mode = 'pass';
          },
        ),
    },
    {
      name: 'connections refused by Nagios',
      weight: 1,
      part: 'nagios',
      strike: forMs => meanwhile(forMs, nagios.gateway.refuse, nagios.gateway.open),
    },
  ];
  const broken = new Set<string>();
  const underWay = new Set<Promise<void>>();
  let failure: unknown;
  const counts = new Map<string, number>();
  const count = (what: string) => {
    counts.set(what, (counts.get(what) ?? 0) + 1);
    return what;
  };
  return {
    counts,
    killWorkers() {
      const told = fleet.workers.map(member => count(`kill -9 of ${fleet.kill(member, 0)}`));
      return told.join(', ');
    },
    strike() {
      const { name, part, strike } = random.pick(faults, ({ weight }) => weight);
      const forMs = random.between(100, longestMs);
      if (part !== undefined && broken.has(part)) return undefined;
      const outcome = strike(forMs);
      if (outcome === undefined) return undefined;
      const told = count(typeof outcome === 'string' ? `${name} ${outcome}` : name);
      if (typeof outcome === 'string' || part === undefined) return told;
      broken.add(part);
      const mended = outcome
        .catch(error => {
          failure = error;
        })
        .finally(() => {
          broken.delete(part);
          underWay.delete(mended);
        });
      underWay.add(mended);
      return told;
    },
    async over() {
      await Promise.all(underWay);
      await fleet.whole();
      if (failure) throw failure;
    },
  };
}

async function meanwhile(forMs: number, begin: () => unknown, end: () => unknown): Promise<void> {
  await begin();
  await delay(forMs);
  await end();
}
