import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { QueueMessage, SqsClient } from '../../clients/aws/sqs.ts';
import { AppError, describe } from '../../domain/errors.ts';
import type { InboundEvent } from '../../domain/event.ts';
import type { PlaceOf } from '../../domain/places.ts';
import { backoff } from '../../lib/backoff.ts';
import { retryUntilAborted } from '../../lib/retry-until-aborted.ts';
import { withTimeLimit } from '../../lib/time-limit.ts';
import type { Receive } from '../receive.ts';
import type { VerifySns } from '../sns/verify.ts';
import { InFlightMessages } from './in-flight.ts';
import { readMessage } from './message.ts';

export interface PollerDependencies {
  sqs: SqsClient;
  /** The same verifier as that of `POST /sns`. */
  verify: VerifySns;
  placeOf: PlaceOf;
  receive: Receive;
  /** Whether Redis can take events: cheap, bounded in time, and fails where it cannot. */
  ready: () => Promise<void>;
  log: Logger;
  /**
   * Whether messages are only looked at: each is hidden from others while this poller runs, and given back when it
   * closes, so that none is received so often that its queue gives it up.
   */
  keep?: boolean;
  /** How long closing waits for messages in flight, in milliseconds. @default 5_000 */
  closeLimitMs?: number;
}

export interface Poller {
  /** Polls this queue as well from now on, unless it does already. */
  add: (queueUrl: string) => void;
  /** Receives no more, lets messages in flight finish within a limit and returns the rest to the queue. */
  close: () => Promise<void>;
}

/** Messages of one queue under way at once. */
const IN_HAND = 100;
/** What SQS takes where nobody said anything else. */
const DEFAULT_VISIBILITY_SECONDS = 30;
/** Messages of one queue that are kept at most; nothing else reaches that number. */
const MOST_KEPT = 1_000;
const MOST_KEPT_PAUSE_MS = 1_000;
/** So many messages that failed, and none that did not, are no fault of theirs: then one at a time is tried. */
const SUSPICIOUS = 3;
const TRIAL_WAITS = { firstMs: 500, longestMs: 30_000 };

/**
 * Reads queues. A message is deleted once Redis has its job, or where it is known to be harmless; one that cannot be
 * understood or verified is left where it is, and the queue's redrive policy takes it to the dead-letter queue.
 */
export function startPoller(queues: readonly string[], dependencies: PollerDependencies): Poller {
  const { sqs, verify, placeOf, receive, ready, keep = false, closeLimitMs = 5_000 } = dependencies;
  const stopping = new AbortController();
  const { signal } = stopping;
  const polled = new Map<string, Promise<void>>();
  const allInFlight: InFlightMessages[] = [];
  /** Ids of the messages that failed since the last that did not. */
  const failing = new Set<string>();
  /** How often one message alone was tried since then. */
  let trials = 0;
  let outage: Promise<boolean> | undefined;

  /** Waits while Redis is away. @returns whether it was */
  function redisWasAway(): Promise<boolean> {
    const what = 'Redis, so no queue is read';
    outage ??= ready()
      .then(
        () => false,
        () => retryUntilAborted(ready, { what, log: dependencies.log, signal }).then(() => true),
      )
      .finally(() => {
        outage = undefined;
      });
    return outage;
  }

  async function poll(queueUrl: string): Promise<void> {
    const log = dependencies.log.child({ queue: queueUrl });
    const trying = { what: `SQS queue ${queueUrl}`, log, signal };
    const visibility = await retryUntilAborted(() => visibilityOf(sqs, queueUrl, log), trying);
    const inFlight = new InFlightMessages(sqs, queueUrl, visibility ?? DEFAULT_VISIBILITY_SECONDS, log);
    allInFlight.push(inFlight);
    const underWay = new Set<Promise<void>>();
    while (!signal.aborted) {
      while (underWay.size > IN_HAND - sqs.batch) await Promise.race(underWay);
      await outage;
      while (inFlight.size >= MOST_KEPT && !signal.aborted) {
        await delay(MOST_KEPT_PAUSE_MS, undefined, { signal }).catch(() => {});
      }
      const suspicious = failing.size >= SUSPICIOUS;
      if (suspicious) await delay(backoff(++trials, TRIAL_WAITS), undefined, { signal }).catch(() => {});
      const received = await retryUntilAborted(
        () => sqs.receive(queueUrl, suspicious ? 1 : sqs.batch, signal),
        trying,
      );
      for (const message of received ?? []) {
        inFlight.hold(message.receipt);
        const work = take(message, inFlight, log).finally(() => underWay.delete(work));
        underWay.add(work);
      }
    }
    await Promise.all(underWay);
  }

  async function take(message: QueueMessage, inFlight: InFlightMessages, log: Logger): Promise<void> {
    const about = log.child({ sqsMessageId: message.id, receiveCount: message.receiveCount });
    const fate = await settle(message, about);
    // What is given back stays held until the poller closes, which follows at once.
    if (keep || fate === 'give back') return;
    if (fate === 'delete') await inFlight.delete(message.receipt);
    inFlight.letGo(message.receipt);
  }

  async function settle(message: QueueMessage, log: Logger): Promise<'delete' | 'leave' | 'give back'> {
    const inbound = await understand(message, log);
    if (!inbound) return 'leave';
    while (!signal.aborted) {
      try {
        await receive(inbound);
        failing.clear();
        trials = 0;
        return 'delete';
      } catch (error) {
        if (await redisWasAway()) continue;
        failing.add(message.id);
        log.error({ err: describe(error) }, 'event not taken: its message comes again');
        return 'leave';
      }
    }
    return 'give back';
  }

  async function understand(message: QueueMessage, log: Logger): Promise<InboundEvent | undefined> {
    try {
      return await readMessage(message, verify, placeOf);
    } catch (error) {
      if (error instanceof AppError && error.code === 'unavailable') failing.add(message.id);
      log.warn(
        { err: describe(error) },
        'message not understood or not verified: left for the dead-letter queue',
      );
      return undefined;
    }
  }

  function add(queueUrl: string): void {
    if (!polled.has(queueUrl) && !signal.aborted) polled.set(queueUrl, poll(queueUrl));
  }

  for (const queueUrl of queues) add(queueUrl);
  return {
    add,
    async close() {
      stopping.abort();
      await withTimeLimit(Promise.allSettled(polled.values()), closeLimitMs, () => {});
      await Promise.all(allInFlight.map(inFlight => inFlight.close()));
    },
  };
}

/** Of another's queue we may be allowed to read the messages, and nothing else. */
async function visibilityOf(sqs: SqsClient, queueUrl: string, log: Logger): Promise<number> {
  try {
    const { VisibilityTimeout } = await sqs.attributes(queueUrl, ['VisibilityTimeout']);
    return Number(VisibilityTimeout ?? DEFAULT_VISIBILITY_SECONDS);
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'permission')) throw error;
    log.warn({ err: describe(error) }, `visibility timeout taken for ${DEFAULT_VISIBILITY_SECONDS} seconds`);
    return DEFAULT_VISIBILITY_SECONDS;
  }
}
