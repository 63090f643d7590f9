import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { AppError, describe, type ErrorCode } from '../domain/errors.ts';
import { backoff } from '../lib/backoff.ts';

/** A service without which no job gets done, and a cheap call that tells whether it can be used. */
export interface Vital {
  name: string;
  probe: () => Promise<void>;
}

export interface Pausable {
  pause: () => void;
  resume: () => void;
}

/** What an outage may look like from within a job. The last two are mostly about one node: the probes tell. */
const SYMPTOMS: readonly ErrorCode[] = ['unavailable', 'credentials', 'permission', 'rejected'];

/** An outage of hours must end soon after its cause. */
const PROBE_WAITS = { firstMs: 1_000, longestMs: 30_000 };

/**
 * Tells an outage, in which every job would fail the same way, from the failure of one job. During an outage the worker
 * takes no jobs and no attempt is counted; a probe ends it.
 */
export class Outages {
  readonly #vitals: readonly Vital[];
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #onPause: (part: string, error: unknown) => void;
  readonly #onResume: (part: string) => void;
  #worker: Pausable | undefined;
  #current: Promise<void> | undefined;

  /**
   * @param onPause called when an outage is noticed, with the part that cannot be used and why
   * @param onResume called when it is over
   */
  constructor(
    vitals: readonly Vital[],
    log: Logger,
    onPause: (part: string, error: unknown) => void = () => {},
    onResume: (part: string) => void = () => {},
  ) {
    this.#vitals = vitals;
    this.#log = log;
    this.#onPause = onPause;
    this.#onResume = onResume;
  }

  /** @param worker paused from the beginning of an outage to its end */
  watch(worker: Pausable): void {
    this.#worker = worker;
  }

  /** Whether a job that failed with this error met an outage; the first to notice pauses the worker. */
  async explains(error: unknown): Promise<boolean> {
    if (!(error instanceof AppError && SYMPTOMS.includes(error.code))) return false;
    if (this.#current) return true;
    const away = await this.#firstAway();
    if (!away) return false;
    this.#current ??= this.#waitFor(away).finally(() => {
      this.#current = undefined;
    });
    return true;
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#current;
  }

  async #waitFor(away: { vital: Vital; error: unknown }): Promise<void> {
    const { vital, error } = away;
    this.#onPause(vital.name, error);
    this.#log.error(
      { part: vital.name, err: describe(error) },
      'jobs pause until it can be used again; none is lost',
    );
    this.#worker?.pause();
    const began = Date.now();
    try {
      for (let probes = 1; await this.#firstAway(); probes++) {
        await delay(backoff(probes, PROBE_WAITS), undefined, { signal: this.#stopping.signal });
      }
      const minutes = Math.round((Date.now() - began) / 6_000) / 10;
      this.#log.info({ part: vital.name, minutes }, 'jobs go on');
      this.#worker?.resume();
      this.#onResume(vital.name);
    } catch {
      // The service stops; the next process notices by itself.
    }
  }

  async #firstAway(): Promise<{ vital: Vital; error: unknown } | undefined> {
    for (const vital of this.#vitals) {
      try {
        await vital.probe();
      } catch (error) {
        // A service without a part that a job needs is there all the same; waiting does not change that.
        if (!(error instanceof AppError && error.code === 'unsupported')) return { vital, error };
      }
    }
    return undefined;
  }
}
