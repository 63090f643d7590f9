/** Of a dead-letter queue, behind the name of its queue. */
export const DEAD_LETTER_SUFFIX = '-dead-letter';

/** Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html */
const LONGEST_QUEUE_NAME = 80;

/** Names of the two pairs of topic and queue that are provisioned; topic and queue of a pair have the same name. */
export interface PairNames {
  /** Hosts publish to this topic. */
  hosts: string;
  /** Only AWS services write to this topic and queue. */
  aws: string;
}

/** @returns undefined without QUEUE_ID: nothing is provisioned then */
export function pairNames({
  QUEUE_NAME,
  QUEUE_ID,
}: {
  QUEUE_NAME: string;
  QUEUE_ID?: string | undefined;
}): PairNames | undefined {
  if (QUEUE_ID === undefined) return undefined;
  const hosts = `${QUEUE_NAME}-${QUEUE_ID}`;
  return { hosts, aws: `${hosts}-aws` };
}

/** @returns what is wrong with the length of the names; undefined if SQS accepts them all */
export function lengthFault(queueName: string, queueId: string): string | undefined {
  const suffix = `-aws${DEAD_LETTER_SUFFIX}`;
  const length = `${queueName}-${queueId}${suffix}`.length;
  if (length <= LONGEST_QUEUE_NAME) return undefined;
  return `the longest queue name, <QUEUE_NAME>-<QUEUE_ID>${suffix}, has ${queueName.length} + 1 + ${queueId.length} + ${suffix.length} = ${length} characters, and SQS allows ${LONGEST_QUEUE_NAME}: shorten QUEUE_NAME by ${length - LONGEST_QUEUE_NAME}`;
}
