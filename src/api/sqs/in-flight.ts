import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { SqsClient } from '../../clients/aws/sqs.ts';
import { describe } from '../../domain/errors.ts';

/** What is finished within so many milliseconds is deleted in one call, if that is not full before. */
const GATHER_MS = 20;

interface Deletion {
  receipts: string[];
  full: () => void;
  done: Promise<void>;
}

/**
 * The messages of one queue that were received and are not settled. SQS hides a message only so long from others;
 * while it is held here, that time is extended again and again.
 */
export class InFlightMessages {
  readonly #sqs: SqsClient;
  readonly #queueUrl: string;
  readonly #visibilitySeconds: number;
  readonly #log: Logger;
  readonly #held = new Set<string>();
  readonly #heartbeat: NodeJS.Timeout;
  /** The next call, as long as it is not full. */
  #deletion: Deletion | undefined;

  /** @param visibilitySeconds how long the queue hides what it hands out */
  constructor(sqs: SqsClient, queueUrl: string, visibilitySeconds: number, log: Logger) {
    this.#sqs = sqs;
    this.#queueUrl = queueUrl;
    this.#visibilitySeconds = Math.max(1, visibilitySeconds);
    this.#log = log;
    this.#heartbeat = setInterval(() => void this.#keepHidden(), (this.#visibilitySeconds * 1000) / 3);
    this.#heartbeat.unref();
  }

  /** How many are held. */
  get size(): number {
    return this.#held.size;
  }

  hold(receipt: string): void {
    this.#held.add(receipt);
  }

  /** The queue hands it out again when the time is over for which it was hidden. */
  letGo(receipt: string): void {
    this.#held.delete(receipt);
  }

  /** Never fails: a message that could not be deleted comes again, and is a duplicate then. */
  delete(receipt: string): Promise<void> {
    this.#deletion ??= this.#newDeletion();
    const { receipts, full, done } = this.#deletion;
    receipts.push(receipt);
    if (receipts.length === this.#sqs.batch) {
      this.#deletion = undefined;
      full();
    }
    return done;
  }

  /** Gives back at once whatever is still held. */
  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#hideFor(0);
    this.#held.clear();
  }

  #newDeletion(): Deletion {
    const { promise, resolve: full } = Promise.withResolvers<void>();
    const receipts: string[] = [];
    const late = new AbortController();
    const gathered = Promise.race([promise, delay(GATHER_MS, undefined, { signal: late.signal })]);
    const done = gathered.then(() => {
      late.abort();
      if (this.#deletion?.receipts === receipts) this.#deletion = undefined;
      return this.#attempt('delete', this.#sqs.delete(this.#queueUrl, receipts));
    });
    return { receipts, full, done };
  }

  #keepHidden(): Promise<void> {
    return this.#hideFor(this.#visibilitySeconds);
  }

  async #hideFor(seconds: number): Promise<void> {
    const receipts = [...this.#held];
    for (let at = 0; at < receipts.length; at += this.#sqs.batch) {
      const some = receipts.slice(at, at + this.#sqs.batch);
      await this.#attempt('hold', this.#sqs.changeVisibility(this.#queueUrl, some, seconds));
    }
  }

  async #attempt(what: string, call: Promise<void>): Promise<void> {
    await call.catch(error =>
      this.#log.warn({ err: describe(error) }, `could not ${what} messages: they come again`),
    );
  }
}
