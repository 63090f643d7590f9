import { Redis } from 'ioredis';
import { startChefServer } from '../test/support/chef-server.ts';
import { startRedis } from '../test/support/redis.ts';
import { startSnsPublisher } from '../test/support/sns-publisher.ts';
import { type Load, pace, type Send, saturate } from './load.ts';
import type { Measured, Section } from './measured.ts';
import { type Door, type DoorParts, type Scheme, startServers } from './parts/doors.ts';
import { openKnocker } from './parts/knocker.ts';
import { signedNotices } from './parts/notices.ts';
import { newTerminations } from './parts/terminations.ts';
import { median, quantile } from './statistics.ts';

const AT_ONCE = [1, 8, 64];
const MOST_AT_ONCE = Math.max(...AT_ONCE);
const REPETITIONS = 3;
/** Of each measurement. */
const SECONDS = { warmUp: 0.5, saturated: 1, half: 1.5 };
/** At most, in one measurement. */
const NOTICES = 8_000;

interface Both {
  ours: Load[];
  bare: Load[];
}

export const door: Section = {
  title:
    'Ingest: signed SNS notices until their jobs are recorded, against a bare Express route with one queue.add on the same Redis',
  async measure(tell) {
    const [redis, chef, publisher] = await Promise.all([
      // A rewrite of its file in the middle of a measurement would hit one side only.
      startRedis({ args: ['--auto-aof-rewrite-percentage', '0'] }),
      startChefServer(),
      startSnsPublisher({ topicArn: 'arn:aws:sns:eu-west-1:000000000000:bench' }),
    ]);
    try {
      const parts = { redis, chef, publisher };
      const bodies = signedNotices(publisher, newTerminations(NOTICES));
      return [
        ...(await measureScheme('HTTP', parts, bodies, tell)),
        ...(await measureScheme('HTTPS', parts, bodies, tell)),
      ];
    } finally {
      await Promise.all([redis.stop(), chef.stop(), publisher.stop()]);
    }
  },
};

async function measureScheme(
  scheme: Scheme,
  parts: DoorParts,
  bodies: Buffer[],
  tell: (line: string) => void,
): Promise<Measured[]> {
  const doors = await startServers(scheme, parts);
  const redis = new Redis(parts.redis.url);
  const ca = parts.publisher.authority.certificate;
  const open = (door: Door) => openKnocker({ door, redis, connections: MOST_AT_ONCE, ca, bodies });
  const [ours, bare] = [open(doors.ours), open(doors.bare)];

  const both = async (load: (send: Send) => Promise<Load>): Promise<Both> => {
    const loads: Both = { ours: [], bare: [] };
    for (let repetition = 0; repetition < REPETITIONS; repetition++) {
      loads.bare.push(await bare.knock(load));
      loads.ours.push(await ours.knock(load));
    }
    return loads;
  };
  const saturated = (atOnce: number, seconds: number) =>
    both(send => saturate(send, { atOnce, seconds, most: bodies.length }));

  try {
    await saturated(MOST_AT_ONCE, SECONDS.warmUp);
    const lines: Measured[] = [];
    for (const atOnce of AT_ONCE) {
      const loads = await saturated(atOnce, SECONDS.saturated);
      tell(`${scheme}, ${atOnce} at once: ${loads.ours.map(rate)} against ${loads.bare.map(rate)} a second`);
      lines.push(throughput(`${scheme}, ${atOnce} at once`, loads));
    }
    const limits = lines.slice(-1).flatMap(({ ours, against }) => [ours, against?.value ?? ours]);
    const perSecond = Math.min(...limits) / 2;
    const requests = Math.min(Math.round(perSecond * SECONDS.half), bodies.length);
    const loads = await both(send => pace(send, { perSecond, requests }));
    tell(`${scheme} at half load, p99: ${loads.ours.map(p99)} against ${loads.bare.map(p99)} ms`);
    return [...lines, lateness(`${scheme}, p99 at half load`, loads)];
  } finally {
    redis.disconnect();
    await Promise.all([ours.close(), bare.close()]);
    await Promise.all([doors.ours.stop(), doors.bare.stop()]);
  }
}

function throughput(what: string, { ours, bare }: Both): Measured {
  return compare(what, '/s', median(ours.map(rate)), median(bare.map(rate)), { atLeast: 0.85 });
}

function lateness(what: string, { ours, bare }: Both): Measured {
  return compare(what, 'ms', median(ours.map(p99)), median(bare.map(p99)), { atMost: 1.5 });
}

function compare(
  what: string,
  unit: string,
  ours: number,
  bare: number,
  goal: NonNullable<Measured['goal']>,
): Measured {
  return { what, unit, ours, against: { what: 'bare route', value: bare }, ratio: ours / bare, goal };
}

function rate({ perSecond }: Load): number {
  return Math.round(perSecond);
}

function p99({ latencies }: Load): number {
  return Math.round(quantile(latencies, 0.99) * 100) / 100;
}
