interface Policy {
  Version?: string;
  Statement?: unknown;
  [name: string]: unknown;
}

/** Sid of the statement that is ours in the policy of a queue. */
const SID = 'ChefDeregistrationTopic';

/**
 * A queue's policy with the statement that lets a topic send to it. Every other statement stays as it is.
 * Source: https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
 * @param policy the policy that is there, JSON; undefined or empty where there is none
 * @returns undefined where ours is in it already
 */
export function policyWithTopic(
  policy: string | undefined,
  queueArn: string,
  topicArn: string,
): string | undefined {
  const present: Policy = policy ? JSON.parse(policy) : { Version: '2012-10-17' };
  const statements = [present.Statement ?? []].flat();
  const isOurs = (statement: unknown) => (statement as { Sid?: unknown } | null)?.Sid === SID;
  // An operator may have narrowed ours: as long as it speaks of this topic, it is not ours to widen.
  if (statements.some(statement => isOurs(statement) && JSON.stringify(statement).includes(topicArn))) {
    return undefined;
  }
  const ours = {
    Sid: SID,
    Effect: 'Allow',
    Principal: { Service: 'sns.amazonaws.com' },
    Action: 'sqs:SendMessage',
    Resource: queueArn,
    Condition: { ArnEquals: { 'aws:SourceArn': topicArn } },
  };
  const others = statements.filter(statement => !isOurs(statement));
  return JSON.stringify({ ...present, Statement: [...others, ours] });
}
