import { setTimeout as delay } from 'node:timers/promises';
import { AppError, describe } from '../../domain/errors.ts';
import type { DowntimeList } from './status.ts';

/** What is waited for: the downtime of this host with exactly this comment. */
export interface Awaited {
  host: string;
  comment: string;
  /** When Nagios had taken the command. */
  submittedAt: Date;
  /** When the downtime must end, within five minutes: a date read in another format ends on another day. */
  end?: Date | undefined;
}

export interface Listed {
  list: DowntimeList;
  /** When it was asked for by this host's clock, in milliseconds since 1970. */
  askedAt: number;
}

/** Who looks within this time after another is shown the same. */
const FRESH_MS = 1_000;
/** A status written this long after the submission shows it: Nagios reads commands at once, but both clocks tell seconds. */
const SURELY_READ_MS = 3_000;
const END_TOLERANCE_MS = 5 * 60_000;

/** Looks for many downtimes with at most one query a second, and only while someone looks. */
export class DowntimeWatch {
  readonly #list: () => Promise<DowntimeList>;
  readonly #closing = new AbortController();
  #last: { askedAt: number; listed: Promise<Listed> } | undefined;

  constructor(list: () => Promise<DowntimeList>) {
    this.#list = list;
  }

  /**
   * @returns undefined if it stands; else why that is not known yet
   * @throws AppError `rejected` where Nagios took the command but made no such downtime of it
   * @throws AppError `unavailable` where Nagios does not answer
   */
  async look(awaited: Awaited): Promise<string | undefined> {
    const { host, comment, submittedAt, end } = awaited;
    const listed = await this.list();
    const { list } = listed;
    const sinceMs = writtenAfterMs(listed, submittedAt);
    // A name that is not ASCII comes as an empty text; the comment is of one job alone.
    const found = list.downtimes.find(
      each => each.type === 'host' && (each.host === host || each.host === '') && each.comment === comment,
    );
    if (found && end && Math.abs(found.end.getTime() - end.getTime()) > END_TOLERANCE_MS) {
      throw rejected(
        awaited,
        `the downtime it made ends at ${found.end.toISOString()}, not at ${end.toISOString()}`,
      );
    }
    if (found) return undefined;
    if (sinceMs >= SURELY_READ_MS) {
      const missing = `${Math.floor(sinceMs / 1000)} s later no downtime with comment ${JSON.stringify(comment)} is listed`;
      throw rejected(awaited, missing);
    }
    return `its status was last written ${Math.round(ageMs(list) / 1000)} s ago: is its daemon running?`;
  }

  /**
   * Looks again and again.
   * @param timeoutMs how long to wait for a status that shows it or shows it missing
   * @throws AppError as `look`; `unavailable` too where Nagios does not update its status
   */
  async wait(awaited: Awaited, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const missing = await this.look(awaited).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'unavailable') return describe(error);
        throw error;
      });
      if (missing === undefined) return;
      if (Date.now() >= deadline) throw unseen(awaited, missing);
      if (!(await this.pause())) throw unseen(awaited, 'it is no longer waited for');
    }
  }

  /** Waits until another list can be had; false if the watch was closed meanwhile. */
  pause(): Promise<boolean> {
    const { signal } = this.#closing;
    return delay(FRESH_MS, true, { signal }).catch(() => false);
  }

  close(): void {
    this.#closing.abort();
  }

  /** All downtimes, as they were shown at most a second ago. */
  list(): Promise<Listed> {
    const now = Date.now();
    if (this.#last === undefined || now - this.#last.askedAt >= FRESH_MS) {
      const listed = this.#list().then(list => ({ list, askedAt: now }));
      this.#last = { askedAt: now, listed };
      // An error is for those who asked at the same time, and not kept for others.
      listed.catch(() => {
        if (this.#last?.listed === listed) this.#last = undefined;
      });
    }
    return this.#last.listed;
  }
}

/** Whether a list surely shows what a command did that Nagios had taken at this time. */
export function showsWorkOf(listed: Listed, submittedAt: Date): boolean {
  return writtenAfterMs(listed, submittedAt) >= SURELY_READ_MS;
}

/**
 * At least how long after a time the status was written. By this host's clock: of Nagios's clock only the age of its status
 * counts, and a slow answer does not make the status younger.
 */
function writtenAfterMs({ list, askedAt }: Listed, time: Date): number {
  return askedAt - ageMs(list) - time.getTime();
}

function ageMs({ queryTime, lastUpdate }: DowntimeList): number {
  return queryTime.getTime() - lastUpdate.getTime();
}

/** A downtime of which nothing is known yet, and why. */
function unseen({ host }: Pick<Awaited, 'host'>, why: string): AppError {
  return new AppError('unavailable', `the Nagios downtime of ${host} could not be seen: ${why}`);
}

function rejected({ host }: Awaited, what: string): AppError {
  return new AppError(
    'rejected',
    `Nagios took the command for ${host}, but ${what}: check NAGIOS_DATE_FORMAT and NAGIOS_TIMEZONE, and that the user may see this host`,
  );
}
