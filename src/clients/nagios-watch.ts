import { setTimeout as delay } from 'node:timers/promises';
import { AppError, describe } from '../errors.ts';
import type { DowntimeList } from './nagios-status.ts';

/** What is waited for: the downtime of this host with exactly this comment. */
export interface Awaited {
  host: string;
  comment: string;
  /** When Nagios had taken the command. */
  submittedAt: Date;
  /** When the downtime must end, within five minutes: a date read in another format ends on another day. */
  end?: Date | undefined;
}

interface Waiter {
  awaited: Awaited;
  deadline: number;
  /** What spoke against it last. */
  last: string;
  resolve: () => void;
  reject: (error: AppError) => void;
}

const POLL_MS = 1_000;
/** A status written this long after the submission shows it: Nagios reads commands at once, but both clocks tell seconds. */
const SURELY_READ_MS = 3_000;
const END_TOLERANCE_MS = 5 * 60_000;

/** Waits for many downtimes with one query a second, and only while someone waits. */
export class DowntimeWatch {
  readonly #list: () => Promise<DowntimeList>;
  readonly #waiters = new Set<Waiter>();
  #polling = false;

  constructor(list: () => Promise<DowntimeList>) {
    this.#list = list;
  }

  /**
   * @param timeoutMs how long to wait for a status that shows it or shows it missing
   * @throws AppError `rejected` where Nagios took the command but made no such downtime of it
   * @throws AppError `unavailable` where Nagios does not answer, or does not update its status
   */
  wait(awaited: Awaited, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const last = 'it was not asked yet';
      this.#waiters.add({ awaited, deadline: Date.now() + timeoutMs, last, resolve, reject });
      if (!this.#polling) void this.#poll();
    });
  }

  close(): void {
    for (const waiter of this.#waiters) {
      this.#settle(waiter, new AppError('unavailable', `${title(waiter.awaited)}: no longer waited for`));
    }
  }

  async #poll(): Promise<void> {
    this.#polling = true;
    while (this.#waiters.size > 0) {
      const asked = [...this.#waiters];
      try {
        const list = await this.#list();
        const now = Date.now();
        for (const waiter of asked) this.#look(waiter, list, now);
      } catch (error) {
        for (const waiter of asked) this.#fail(waiter, error);
      }
      if (this.#waiters.size > 0) await delay(POLL_MS);
    }
    this.#polling = false;
  }

  #look(waiter: Waiter, list: DowntimeList, now: number): void {
    const { host, comment, submittedAt, end } = waiter.awaited;
    const ageMs = list.queryTime.getTime() - list.lastUpdate.getTime();
    const sinceMs = now - ageMs - submittedAt.getTime();
    const found = list.downtimes.find(at => at.type === 'host' && at.host === host && at.comment === comment);
    if (found && end && Math.abs(found.end.getTime() - end.getTime()) > END_TOLERANCE_MS) {
      const wrong = `ends at ${found.end.toISOString()}, not at ${end.toISOString()}`;
      this.#settle(waiter, rejected(waiter.awaited, `the downtime it made ${wrong}`));
    } else if (found) {
      this.#settle(waiter);
    } else if (sinceMs >= SURELY_READ_MS) {
      const missing = `${Math.floor(sinceMs / 1000)} s later no downtime with comment ${JSON.stringify(comment)} is listed`;
      this.#settle(waiter, rejected(waiter.awaited, missing));
    } else {
      waiter.last = `its status was last written ${Math.round(ageMs / 1000)} s ago: is its daemon running?`;
      this.#expire(waiter);
    }
  }

  #fail(waiter: Waiter, error: unknown): void {
    if (error instanceof AppError && error.code !== 'unavailable') {
      this.#settle(waiter, error);
    } else {
      waiter.last = describe(error);
      this.#expire(waiter);
    }
  }

  #expire(waiter: Waiter): void {
    if (Date.now() < waiter.deadline) return;
    this.#settle(
      waiter,
      new AppError('unavailable', `${title(waiter.awaited)} could not be seen: ${waiter.last}`),
    );
  }

  #settle(waiter: Waiter, error?: AppError): void {
    if (!this.#waiters.delete(waiter)) return;
    if (error) waiter.reject(error);
    else waiter.resolve();
  }
}

function title({ host }: Awaited): string {
  return `the Nagios downtime of ${host}`;
}

function rejected({ host }: Awaited, what: string): AppError {
  return new AppError(
    'rejected',
    `Nagios took the command for ${host}, but ${what}: check NAGIOS_DATE_FORMAT and NAGIOS_TIMEZONE, and that the user may see this host`,
  );
}
