import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { describe } from '../domain/errors.ts';
import { regularly } from '../lib/regularly.ts';
import type { JobStore } from './store.ts';

export interface JobRetentionDependencies {
  store: Pick<JobStore, 'forget'>;
  /** Age in days at which the record of a finished job is removed. */
  days: number;
  log: Logger;
}

const DAY_MS = 86_400_000;
const LOOK_MS = 60_000;
/** Between two batches, so that others come in between. */
const PAUSE_MS = 10;

/** Removes the records of old jobs, a few at a time; several processes may do so at once. */
export function keepJobRetention({ store, days, log }: JobRetentionDependencies): {
  close: () => Promise<void>;
} {
  const closing = new AbortController();
  const look = async () => {
    try {
      while (!closing.signal.aborted && (await store.forget(days * DAY_MS))) await delay(PAUSE_MS);
    } catch (error) {
      log.debug({ err: describe(error) }, 'records of old jobs were not removed; trying again in a minute');
    }
  };
  const looking = regularly(look, LOOK_MS);
  return {
    close() {
      closing.abort();
      return looking.close();
    },
  };
}
