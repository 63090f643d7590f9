import type { QueueAttributes, SqsClient } from '../clients/aws/sqs.ts';
import { AppError } from '../domain/errors.ts';
import { DEAD_LETTER_SUFFIX } from '../domain/pair-names.ts';
import { type Grant, policyWith } from './policy.ts';

export interface Queue {
  url: string;
  arn: string;
}

/** The most that SQS keeps a message, in seconds: 14 days. */
const RETENTION_SECONDS = '1209600';
const ATTRIBUTES: QueueAttributes = {
  MessageRetentionPeriod: RETENTION_SECONDS,
  VisibilityTimeout: '60',
  ReceiveMessageWaitTimeSeconds: '20',
};
/** A message that could not be understood so often goes to the dead-letter queue. */
const MAX_RECEIVES = 5;

/** The main queue and its dead-letter queue, made where they are not there; what is there keeps its attributes. */
export async function provideQueues(
  sqs: SqsClient,
  name: string,
): Promise<{ main: Queue; deadLetter: Queue }> {
  const deadLetter = await provideQueue(sqs, `${name}${DEAD_LETTER_SUFFIX}`, {
    MessageRetentionPeriod: RETENTION_SECONDS,
  });
  const RedrivePolicy = JSON.stringify({
    deadLetterTargetArn: deadLetter.arn,
    maxReceiveCount: MAX_RECEIVES,
  });
  const main = await provideQueue(sqs, name, { ...ATTRIBUTES, RedrivePolicy });
  const present = await sqs.attributes(main.url, ['RedrivePolicy']);
  if (!present.RedrivePolicy) await sqs.setAttributes(main.url, { RedrivePolicy });
  return { main, deadLetter };
}

/** Adds what is missing to the policy of a queue; SQS applies it within a minute. */
export async function allowToSend(sqs: SqsClient, queue: Queue, grants: readonly Grant[]): Promise<void> {
  const { Policy } = await sqs.attributes(queue.url, ['Policy']);
  const wanted = policyWith(Policy, grants);
  if (wanted) await sqs.setAttributes(queue.url, { Policy: wanted });
}

/** @throws AppError `not-found` */
export async function findQueue(sqs: SqsClient, name: string): Promise<Queue> {
  return queueAt(sqs, await sqs.queueUrl(name));
}

async function queueAt(sqs: SqsClient, url: string): Promise<Queue> {
  const { QueueArn = '' } = await sqs.attributes(url, ['QueueArn']);
  return { url, arn: QueueArn };
}

/** Looks first: creating a queue that is there with other attributes is an error. */
async function provideQueue(sqs: SqsClient, name: string, attributes: QueueAttributes): Promise<Queue> {
  const present = await unless('not-found', findQueue(sqs, name));
  if (present) return present;
  // Another process may be as far as this one.
  const created = await unless('conflict', sqs.createQueue(name, attributes));
  return queueAt(sqs, created ?? (await sqs.queueUrl(name)));
}

async function unless<T>(code: AppError['code'], promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof AppError && error.code === code) return undefined;
    throw error;
  }
}
