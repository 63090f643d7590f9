import type { Logger } from 'pino';
import type { SqsClient } from '../../clients/aws/sqs.ts';
import { describe } from '../../domain/errors.ts';

export interface QueueDepth {
  /** The queue's name. */
  queue: string;
  /** Messages in it that are not in flight, as SQS estimates. */
  messages: number;
  isDeadLetter: boolean;
}

/** Each reading is a call or two that AWS counts. */
const FRESH_MS = 300_000;

/**
 * Messages in queues and in their dead-letter queues, as read last. Reading does not wait: what is older than
 * five minutes is read again in the background, and what cannot be read is left out.
 */
export function queueDepths(
  sqs: SqsClient,
  log: Logger,
  freshMs = FRESH_MS,
): (urls: Iterable<string>) => QueueDepth[] {
  const known = new Map<string, { readAt: number; depths: QueueDepth[] }>();
  /** Faults that were logged already. */
  const failing = new Set<string>();

  /** What the queue says, or nothing where it cannot be asked. */
  async function ask(
    url: string,
  ): Promise<{ messages: number; deadLetterUrl: string | undefined } | undefined> {
    try {
      const found = await sqs.attributes(url, ['ApproximateNumberOfMessages', 'RedrivePolicy']);
      failing.delete(url);
      return {
        messages: Number(found.ApproximateNumberOfMessages ?? 0),
        deadLetterUrl: found.RedrivePolicy && besides(url, found.RedrivePolicy),
      };
    } catch (error) {
      if (!failing.has(url))
        log.warn({ queue: url, err: describe(error) }, 'not known how many messages wait');
      failing.add(url);
      return undefined;
    }
  }

  async function read(url: string): Promise<QueueDepth[]> {
    const main = await ask(url);
    const deadLetterUrl = main?.deadLetterUrl;
    const dead = deadLetterUrl ? await ask(deadLetterUrl) : undefined;
    return [
      ...(main ? [{ queue: nameOf(url), messages: main.messages, isDeadLetter: false }] : []),
      ...(dead && deadLetterUrl
        ? [{ queue: nameOf(deadLetterUrl), messages: dead.messages, isDeadLetter: true }]
        : []),
    ];
  }

  return urls =>
    [...urls].flatMap(url => {
      const { readAt, depths } = known.get(url) ?? { readAt: Number.NEGATIVE_INFINITY, depths: [] };
      if (Date.now() - readAt > freshMs) {
        known.set(url, { readAt: Date.now(), depths });
        void read(url).then(found => known.set(url, { readAt: Date.now(), depths: found }));
      }
      return depths;
    });
}

/**
 * A dead-letter queue is of the same account and region as the queue, and so their URLs differ in the name only.
 * Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
 */
function besides(url: string, redrivePolicy: string): string | undefined {
  const { deadLetterTargetArn } = JSON.parse(redrivePolicy) as { deadLetterTargetArn?: string };
  const name = deadLetterTargetArn?.split(':').at(-1);
  return name && url.replace(/[^/]+$/, name);
}

function nameOf(url: string): string {
  return url.split('/').at(-1) ?? url;
}
