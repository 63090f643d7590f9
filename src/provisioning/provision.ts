import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { SnsClient } from '../clients/aws/sns.ts';
import type { SqsClient } from '../clients/aws/sqs.ts';
import { AppError } from '../domain/errors.ts';
import type { Writers } from '../domain/places.ts';
import { retryUntilAborted } from '../lib/retry-until-aborted.ts';
import { policyWith, rulesMayPublish, rulesMaySend, topicMaySend } from './policy.ts';
import { providePush, shownEndpoint } from './push.ts';
import { allowToSend, findQueue, provideQueues, type Queue } from './queues.ts';

/** A topic and the queue that is subscribed to it. */
export interface Pair {
  topicArn: string;
  queueUrl: string;
}

export interface Provisioned extends Pair {
  deadLetterQueueUrl: string;
  deadLetterArn: string;
}

export interface Installation {
  sns: SnsClient;
  sqs: SqsClient;
  /** Of topic and queue, both. */
  name: string;
  /** Who writes to them: of the AWS services, EventBridge needs a statement that allows it. @default 'hosts' */
  writers?: Writers;
}

/**
 * Makes the topic, the queue with its dead-letter queue, and the queue's subscription, where they are not there. What
 * is there stays as it is, but for a redrive policy or a policy statement that is missing. It can be done again, and
 * by several processes at once.
 * @throws AppError as `callAws` does
 */
export async function provision({ sns, sqs, name, writers }: Installation): Promise<Provisioned> {
  const { main, deadLetter } = await provideQueues(sqs, name);
  const topicArn = topicBeside(main);
  await provideTopic(sns, topicArn);
  const byTopic = topicMaySend(main.arn, topicArn);
  await allowToSend(sqs, main, writers === 'aws' ? [byTopic, rulesMaySend(main.arn)] : [byTopic]);
  await allowToSend(sqs, deadLetter, [topicMaySend(deadLetter.arn, topicArn)]);
  if (writers === 'aws') await allowRulesToPublish(sns, topicArn);
  const present = await sns.subscriptions(topicArn);
  if (!present.some(({ protocol, endpoint }) => protocol === 'sqs' && endpoint === main.arn)) {
    await sns.subscribe(topicArn, 'sqs', main.arn);
  }
  return {
    topicArn,
    queueUrl: main.url,
    deadLetterQueueUrl: deadLetter.url,
    deadLetterArn: deadLetter.arn,
  };
}

/**
 * What another process, or an operator, has provisioned.
 * @throws AppError `not-found` where nobody has
 */
export async function lookUp({ sqs, name }: Pick<Installation, 'sqs' | 'name'>): Promise<Pair> {
  const queue = await findQueue(sqs, name);
  return { topicArn: topicBeside(queue), queueUrl: queue.url };
}

/**
 * Auto Scaling needs no statement in the account of the topic: it publishes notifications with its service-linked role
 * and lifecycle hooks with the hook's role, and IAM policies of both allow it.
 * Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AutoScalingServiceRolePolicy.html
 */
async function allowRulesToPublish(sns: SnsClient, topicArn: string): Promise<void> {
  const { Policy } = await sns.topicAttributes(topicArn);
  const wanted = policyWith(Policy, [rulesMayPublish(topicArn)]);
  if (wanted) await sns.setTopicAttribute(topicArn, 'Policy', wanted);
}

/** Topic and queue have one name, account and region. */
function topicBeside({ arn }: Queue): string {
  return arn.replace(':sqs:', ':sns:');
}

async function provideTopic(sns: SnsClient, topicArn: string): Promise<void> {
  if (await sns.topicExists(topicArn)) return;
  try {
    // Version 1, the default, is SHA-1.
    await sns.createTopic(topicArn, { SignatureVersion: '2' });
  } catch (error) {
    // Somebody made it meanwhile, and otherwise.
    if (error instanceof AppError && error.code === 'rejected' && (await sns.topicExists(topicArn))) return;
    throw error;
  }
}

export interface KeepingOptions extends Installation {
  /** Whether to make what is not there, or only to wait for it. */
  create: boolean;
  /** How SNS reaches the API, which listens there already; without it SNS is not asked to push. */
  publicUrl?: URL | undefined;
  /**
   * Called once, as soon as topic and queue are known and before SNS is asked to push: the request to confirm comes at
   * once, and SNS does not send it again when its topic is not accepted.
   */
  onReady: (pair: Pair) => void;
  log: Logger;
  /** Wait after an error that only a person can remove, in milliseconds. @default 3 minutes */
  refusedWaitMs?: number;
  /** Wait before an address that has not confirmed is asked again, in milliseconds. @default 5 minutes */
  confirmWaitMs?: number;
}

/** Provisions in the background, however long AWS is away or does not allow it. */
export function keepProvisioned(options: KeepingOptions): { close: () => Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const work = options.create ? createAll(options, signal) : waitForAll(options, signal);
  return {
    async close() {
      stopping.abort();
      await work;
    },
  };
}

async function waitForAll(options: KeepingOptions, signal: AbortSignal): Promise<void> {
  const pair = await retryUntilAborted(() => lookUp(options), trying(options, signal));
  if (pair) options.onReady(pair);
}

async function createAll(options: KeepingOptions, signal: AbortSignal): Promise<void> {
  const { sns, publicUrl, onReady, log, confirmWaitMs = 300_000 } = options;
  const pair = await retryUntilAborted(() => provision(options), trying(options, signal));
  if (!pair) return;
  onReady(pair);
  if (!publicUrl) return;
  const push = { ...pair, publicUrl };
  const endpoint = shownEndpoint(publicUrl);
  for (let asked = 0; !signal.aborted; asked++) {
    const subscribed = await retryUntilAborted(() => providePush(sns, push), trying(options, signal));
    if (subscribed?.confirmed) {
      for (const arn of subscribed.otherPasswords) log.warn({ endpoint, arn }, otherPassword(arn));
      return log.info({ endpoint }, 'SNS pushes to this service');
    }
    if (asked > 0) {
      log.warn(
        { endpoint, asked },
        'SNS asked this address to confirm and got no good answer; can SNS reach PUBLIC_URL?',
      );
    }
    await delay(confirmWaitMs, undefined, { signal }).catch(() => {});
  }
}

function otherPassword(arn: string): string {
  return `SNS also pushes to this address with another password; if that is no longer valid, run: aws sns unsubscribe --subscription-arn ${arn}`;
}

function trying({ name, log, refusedWaitMs = 180_000 }: KeepingOptions, signal: AbortSignal) {
  return { what: `topic and queue ${name}`, log, signal, refusedWaitMs };
}
