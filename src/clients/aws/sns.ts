import { createHash } from 'node:crypto';
import {
  ConfirmSubscriptionCommand,
  CreateTopicCommand,
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  PublishCommand,
  paginateListSubscriptionsByTopic,
  SetSubscriptionAttributesCommand,
  SetTopicAttributesCommand,
  SNSClient,
  SubscribeCommand,
} from '@aws-sdk/client-sns';
import { AppError } from '../../domain/errors.ts';
import { type AwsOptions, ByRegion, callAws, clientConfig } from './connection.ts';

export interface SnsSubscription {
  /** Undefined while SNS lists it as waiting for its confirmation. */
  arn: string | undefined;
  protocol: string;
  endpoint: string;
}

/** Amazon SNS, as far as the service calls it; topics are named by their ARNs. Every call throws as `callAws` does. */
export class SnsClient {
  readonly #clients: ByRegion<SNSClient>;

  constructor(options: AwsOptions) {
    this.#clients = new ByRegion(
      region => new SNSClient(clientConfig({ ...options, region: region || options.region })),
    );
  }

  /**
   * Confirms a subscription by its token, so that only the topic's owner can end it (AuthenticateOnUnsubscribe).
   * @throws AppError `invalid` for a token that is not, or no longer, good
   */
  async confirmSubscription(topicArn: string, token: string): Promise<void> {
    const command = new ConfirmSubscriptionCommand({
      TopicArn: topicArn,
      Token: token,
      AuthenticateOnUnsubscribe: 'true',
    });
    try {
      await this.#call('sns:ConfirmSubscription', topicArn, (client, options) =>
        client.send(command, options),
      );
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'rejected')) throw error;
      throw new AppError('invalid', `SNS did not confirm the subscription to ${topicArn}`, {
        cause: error,
        field: 'Token',
      });
    }
  }

  async topicAttributes(topicArn: string): Promise<Record<string, string>> {
    const command = new GetTopicAttributesCommand({ TopicArn: topicArn });
    const { Attributes = {} } = await this.#call('sns:GetTopicAttributes', topicArn, (client, options) =>
      client.send(command, options),
    );
    return Attributes;
  }

  async topicExists(topicArn: string): Promise<boolean> {
    try {
      await this.topicAttributes(topicArn);
      return true;
    } catch (error) {
      if (error instanceof AppError && error.code === 'not-found') return false;
      throw error;
    }
  }

  /** @throws AppError `rejected`, too, where it is there with other attributes */
  async createTopic(topicArn: string, attributes: Record<string, string>): Promise<void> {
    const command = new CreateTopicCommand({ Name: topicArn.split(':')[5], Attributes: attributes });
    await this.#call('sns:CreateTopic', topicArn, (client, options) => client.send(command, options));
  }

  async setTopicAttribute(topicArn: string, name: string, value: string): Promise<void> {
    const command = new SetTopicAttributesCommand({
      TopicArn: topicArn,
      AttributeName: name,
      AttributeValue: value,
    });
    await this.#call('sns:SetTopicAttributes', topicArn, (client, options) => client.send(command, options));
  }

  async subscriptions(topicArn: string): Promise<SnsSubscription[]> {
    return this.#call('sns:ListSubscriptionsByTopic', topicArn, async (client, options) => {
      const found: SnsSubscription[] = [];
      const pages = paginateListSubscriptionsByTopic({ client }, { TopicArn: topicArn }, options);
      for await (const { Subscriptions = [] } of pages) {
        for (const { SubscriptionArn, Protocol = '', Endpoint = '' } of Subscriptions) {
          const arn = SubscriptionArn?.startsWith('arn:') ? SubscriptionArn : undefined;
          found.push({ arn, protocol: Protocol, endpoint: Endpoint });
        }
      }
      return found;
    });
  }

  /** Where it is there already nothing changes, but an endpoint that has not confirmed yet is asked again. */
  async subscribe(
    topicArn: string,
    protocol: string,
    endpoint: string,
    attributes: Record<string, string> = {},
  ): Promise<void> {
    const command = new SubscribeCommand({
      TopicArn: topicArn,
      Protocol: protocol,
      Endpoint: endpoint,
      ...(Object.keys(attributes).length > 0 && { Attributes: attributes }),
      ReturnSubscriptionArn: true,
    });
    await this.#call('sns:Subscribe', topicArn, (client, options) => client.send(command, options));
  }

  async subscriptionAttributes(subscriptionArn: string): Promise<Record<string, string>> {
    const command = new GetSubscriptionAttributesCommand({ SubscriptionArn: subscriptionArn });
    const { Attributes = {} } = await this.#call(
      'sns:GetSubscriptionAttributes',
      subscriptionArn,
      (client, options) => client.send(command, options),
    );
    return Attributes;
  }

  async setSubscriptionAttribute(subscriptionArn: string, name: string, value: string): Promise<void> {
    const command = new SetSubscriptionAttributesCommand({
      SubscriptionArn: subscriptionArn,
      AttributeName: name,
      AttributeValue: value,
    });
    await this.#call('sns:SetSubscriptionAttributes', subscriptionArn, (client, options) =>
      client.send(command, options),
    );
  }

  /** @param id the same for every attempt at the same message; only FIFO topics use it */
  async publish(topicArn: string, message: { subject: string; text: string; id: string }): Promise<void> {
    const { subject, text, id } = message;
    const command = new PublishCommand({
      TopicArn: topicArn,
      Subject: subject,
      Message: text,
      ...(topicArn.endsWith('.fifo') && {
        MessageGroupId: 'alerts',
        MessageDeduplicationId: createHash('sha256').update(id).digest('hex'),
      }),
    });
    await this.#call('sns:Publish', topicArn, (client, options) => client.send(command, options));
  }

  close(): void {
    this.#clients.close();
  }

  /** A topic is reached only through its own region, the fourth part of its ARN. */
  #call<T>(
    action: string,
    arn: string,
    send: (client: SNSClient, options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const client = this.#clients.in(arn.split(':')[3] || undefined);
    return callAws({ action, resource: arn }, options => send(client, options));
  }
}
