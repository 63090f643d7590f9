import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { type Alert, headline } from '../domain/alert.ts';
import type { AlertChannel } from './channel.ts';
import { alertFold } from './dedupe.ts';
import { AlertOutbox, type OutboxCounts, type OutboxOptions } from './delivery-queue.ts';

/** Hands an alert over; it never throws and takes no time. */
export type Raise = (alert: Alert) => void;

export interface AlertCounts {
  /** Sent to the log and every channel. */
  raised: number;
  /** Repeats of a recent alert, which are not sent again. */
  folded: number;
  channels: Record<string, OutboxCounts>;
}

export interface AlertsDependencies {
  redis: Redis;
  prefix: string;
  channels: AlertChannel[];
  log: Logger;
}

/** Tells people: by the log always, and by the channels there are. */
export class Alerts {
  readonly #fold: (key: string) => Promise<number | undefined>;
  readonly #outboxes: AlertOutbox[];
  readonly #log: Logger;
  readonly #underWay = new Set<Promise<void>>();
  readonly #counts = { raised: 0, folded: 0 };

  constructor({ redis, prefix, channels, log }: AlertsDependencies, options?: OutboxOptions) {
    this.#fold = alertFold(redis, prefix);
    this.#outboxes = channels.map(channel => new AlertOutbox(channel, log, options));
    this.#log = log;
  }

  /** An alert with the same name about the same node or instance is sent once in ten minutes. */
  readonly raise: Raise = alert => {
    const telling = this.#tell(alert).finally(() => this.#underWay.delete(telling));
    this.#underWay.add(telling);
  };

  counts(): AlertCounts {
    const channels = this.#outboxes.map(outbox => [outbox.name, outbox.counts()] as const);
    return { ...this.#counts, channels: Object.fromEntries(channels) };
  }

  async close(): Promise<void> {
    await Promise.all(this.#underWay);
    await Promise.all(this.#outboxes.map(outbox => outbox.close()));
  }

  async #tell(alert: Alert): Promise<void> {
    const folded = await this.#fold(`${alert.name}:${alert.node ?? alert.instanceId ?? ''}`);
    if (folded === undefined) {
      this.#counts.folded += 1;
      return;
    }
    this.#counts.raised += 1;
    const again = folded > 0 ? ` (and ${folded} times more since it was last sent)` : '';
    const told = { ...alert, whatHappened: alert.whatHappened + again };
    this.#log[alert.severity === 'error' ? 'error' : 'warn']({ alert: told }, `alert: ${headline(told)}`);
    for (const outbox of this.#outboxes) outbox.add(told);
  }
}
