import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Alert } from '../domain/alert.ts';
import { AppError, describe, type ErrorCode } from '../domain/errors.ts';
import { backoff } from '../lib/backoff.ts';
import type { AlertChannel } from './channel.ts';

export interface OutboxOptions {
  /** Attempts at one alert; 20 by default, which is about an hour. */
  attempts?: number;
  /** Longest wait between them, in milliseconds. @default five minutes */
  longestWaitMs?: number;
  /** Alerts that may wait; 1,000 by default. Above it the oldest is given up. */
  capacity?: number;
}

/** What became of the alerts of a channel since the process started. */
export interface OutboxCounts {
  sent: number;
  /** Attempts that failed and were followed by another. */
  retried: number;
  givenUp: number;
  waiting: number;
}

const HOPELESS: readonly ErrorCode[] = ['rejected', 'invalid', 'too-large'];

/** Sends alerts by one channel in the background, one after the other; nobody waits for it. */
export class AlertOutbox {
  readonly #channel: AlertChannel;
  readonly #log: Logger;
  readonly #options: Required<OutboxOptions>;
  readonly #waiting: Alert[] = [];
  readonly #stopping = new AbortController();
  readonly #counts = { sent: 0, retried: 0, givenUp: 0 };
  #working: Promise<void> | undefined;

  constructor(channel: AlertChannel, log: Logger, options: OutboxOptions = {}) {
    this.#channel = channel;
    this.#log = log.child({ channel: channel.name });
    this.#options = { attempts: 20, longestWaitMs: 300_000, capacity: 1_000, ...options };
  }

  get name(): string {
    return this.#channel.name;
  }

  add(alert: Alert): void {
    this.#waiting.push(alert);
    const oldest = this.#waiting.length > this.#options.capacity ? this.#waiting.shift() : undefined;
    if (oldest) this.#giveUp(oldest, 'too many wait');
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  counts(): OutboxCounts {
    return { ...this.#counts, waiting: this.#waiting.length };
  }

  /** What still waits is tried once more. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
    await this.#channel.close();
  }

  async #work(): Promise<void> {
    for (let alert = this.#waiting.shift(); alert; alert = this.#waiting.shift()) await this.#deliver(alert);
  }

  async #deliver(alert: Alert): Promise<void> {
    const { signal } = this.#stopping;
    const { attempts, longestWaitMs } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const last = attempt >= attempts || signal.aborted;
      try {
        await this.#channel.send(alert);
        this.#counts.sent += 1;
        return;
      } catch (error) {
        const known = error instanceof AppError ? error : undefined;
        if (last || (known && HOPELESS.includes(known.code))) return this.#giveUp(alert, describe(error));
        this.#counts.retried += 1;
        if (attempt === 1)
          this.#log.warn({ err: describe(error), alert: alert.name }, 'alert not sent; trying again');
        const wait = Math.min(
          longestWaitMs,
          Math.max(known?.retryAfterMs ?? 0, backoff(attempt, { firstMs: 500, longestMs: longestWaitMs })),
        );
        await delay(wait, undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  #giveUp(alert: Alert, why: string): void {
    this.#counts.givenUp += 1;
    this.#log.error({ err: why, alert }, 'alert given up: it is only here');
  }
}
