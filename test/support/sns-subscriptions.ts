import {
  GetSubscriptionAttributesCommand,
  type Subscription as Listed,
  paginateListSubscriptionsByTopic,
} from '@aws-sdk/client-sns';
import { GetQueueUrlCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import type { Aws } from './aws.ts';
import type { SnsMessage } from './sns-message.ts';

export interface Subscription {
  arn: string;
  protocol: string;
  endpoint: string;
  pending: boolean;
  raw: boolean;
}

/** The subscriptions of a topic as the emulator keeps them. */
export async function subscriptionsOf(aws: Aws, topicArn: string): Promise<Subscription[]> {
  const listed: Listed[] = [];
  for await (const page of paginateListSubscriptionsByTopic({ client: aws.sns }, { TopicArn: topicArn })) {
    listed.push(...(page.Subscriptions ?? []));
  }
  return Promise.all(
    listed.map(async ({ SubscriptionArn: arn = '', Protocol: protocol = '', Endpoint: endpoint = '' }) => {
      const { Attributes } = await aws.sns.send(
        new GetSubscriptionAttributesCommand({ SubscriptionArn: arn }),
      );
      const pending = Attributes?.['PendingConfirmation'] === 'true';
      return { arn, protocol, endpoint, pending, raw: Attributes?.['RawMessageDelivery'] === 'true' };
    }),
  );
}

/** Puts a message into a queue as SNS does: the whole envelope is the body, unless delivery is raw. */
export async function enqueue(aws: Aws, message: SnsMessage, { endpoint, raw }: Subscription): Promise<void> {
  const { QueueUrl } = await aws.sqs.send(
    new GetQueueUrlCommand({ QueueName: endpoint.slice(endpoint.lastIndexOf(':') + 1) }),
  );
  const MessageBody = raw ? message.Message : JSON.stringify(message, null, 2);
  await aws.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
}
