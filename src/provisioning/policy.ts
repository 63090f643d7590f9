interface Policy {
  Version?: string;
  Statement?: unknown;
  [name: string]: unknown;
}

/** A statement of this service in the policy of a topic or queue. */
export interface Grant {
  Sid: string;
  Effect: 'Allow';
  Principal: { Service: string };
  Action: string;
  Resource: string;
  Condition: Record<string, Record<string, string>>;
}

/**
 * Lets a topic send to a queue.
 * Source: https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
 */
export function topicMaySend(queueArn: string, topicArn: string): Grant {
  return {
    Sid: 'ChefDeregistrationTopic',
    Effect: 'Allow',
    Principal: { Service: 'sns.amazonaws.com' },
    Action: 'sqs:SendMessage',
    Resource: queueArn,
    Condition: { ArnEquals: { 'aws:SourceArn': topicArn } },
  };
}

/**
 * Lets the EventBridge rules of the queue's own account send to it. Without the condition a rule of any account could,
 * and EventBridge rewrites an event into whatever the rule's owner likes.
 * Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions
 */
export function rulesMaySend(queueArn: string): Grant {
  return rules('sqs:SendMessage', queueArn);
}

/**
 * The same for a topic. EventBridge documents that it gives SNS no value for these conditions, and then this allows
 * nothing: a rule needs a role of its own to publish to the topic (docs/migration.md).
 * Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
 */
export function rulesMayPublish(topicArn: string): Grant {
  return rules('sns:Publish', topicArn);
}

function rules(action: string, arn: string): Grant {
  const [, partition = '', , region = '', account = ''] = arn.split(':');
  return {
    Sid: 'ChefDeregistrationRules',
    Effect: 'Allow',
    Principal: { Service: 'events.amazonaws.com' },
    Action: action,
    Resource: arn,
    Condition: {
      StringEquals: { 'aws:SourceAccount': account },
      ArnLike: { 'aws:SourceArn': `arn:${partition}:events:${region}:${account}:rule/*` },
    },
  };
}

/**
 * A policy with further statements. Every other statement stays as it is, and so does one of ours that an operator
 * narrowed, as long as it is about the same source.
 * @param policy the present policy, JSON; undefined or empty if there is none
 * @returns undefined if nothing is missing
 */
export function policyWith(policy: string | undefined, grants: readonly Grant[]): string | undefined {
  const present: Policy = policy ? JSON.parse(policy) : { Version: '2012-10-17' };
  const statements = [present.Statement ?? []].flat();
  const missing = grants.filter(grant => !statements.some(statement => isSame(statement, grant)));
  if (missing.length === 0) return undefined;
  const replaced = missing.map(({ Sid }) => Sid);
  const others = statements.filter(statement => !replaced.includes(sidOf(statement)));
  return JSON.stringify({ ...present, Statement: [...others, ...missing] });
}

function isSame(statement: unknown, { Sid, Condition }: Grant): boolean {
  // A topic or queue that was made again under another name or in another account.
  const source = Object.values(Condition['ArnEquals'] ?? Condition['StringEquals'] ?? {})[0] ?? '';
  return sidOf(statement) === Sid && JSON.stringify(statement).includes(source);
}

function sidOf(statement: unknown): string {
  return String((statement as { Sid?: unknown } | null)?.Sid);
}
