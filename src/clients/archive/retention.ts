import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { describe } from '../../domain/errors.ts';
import { regularly } from '../../lib/regularly.ts';
import type { Archive } from './archive.ts';

export interface RetentionDependencies {
  redis: Redis;
  prefix: string;
  archive: Archive;
  /** Age in days at which an archive is removed. */
  days: number;
  log: Logger;
}

const DAY_MS = 86_400_000;
const LOOK_MS = 3_600_000;

/** Removes old archives once a day, whichever process comes first; a removal that fails is tried again an hour later. */
export function keepRetention(dependencies: RetentionDependencies): { close: () => Promise<void> } {
  const { redis, prefix, archive, days, log } = dependencies;
  const turn = `${prefix}:archives-pruned`;
  const prune = async () => {
    try {
      if ((await redis.set(turn, '1', 'PX', DAY_MS - LOOK_MS / 2, 'NX')) !== 'OK') return;
      const removed = await archive.prune(new Date(Date.now() - days * DAY_MS));
      log.info({ removed, days }, 'old archives removed');
    } catch (error) {
      log.error({ err: describe(error) }, 'old archives were not removed; trying again in an hour');
      await redis.del(turn).catch(() => {});
    }
  };
  return regularly(prune, LOOK_MS);
}
