import { ConfirmSubscriptionCommand, SNSClient } from '@aws-sdk/client-sns';
import { AppError } from '../errors.ts';

export interface AwsOptions {
  /** In place of AWS’s own. */
  endpoint?: string | undefined;
}

/** Amazon SNS, as far as the service calls it. */
export class SnsClient {
  readonly #options: AwsOptions;
  readonly #byRegion = new Map<string, SNSClient>();

  constructor(options: AwsOptions) {
    this.#options = options;
  }

  /**
   * Confirms a subscription by its token, so that only the topic's owner can end it (AuthenticateOnUnsubscribe).
   * @throws AppError `unavailable`
   */
  async confirmSubscription(topicArn: string, token: string): Promise<void> {
    const command = new ConfirmSubscriptionCommand({
      TopicArn: topicArn,
      Token: token,
      AuthenticateOnUnsubscribe: 'true',
    });
    try {
      await this.#of(topicArn).send(command);
    } catch (error) {
      throw new AppError('unavailable', `SNS did not confirm the subscription to ${topicArn}`, {
        cause: error,
      });
    }
  }

  close(): void {
    for (const client of this.#byRegion.values()) client.destroy();
  }

  /** A topic is reached only through its own region, the fourth part of its ARN. */
  #of(topicArn: string): SNSClient {
    const region = topicArn.split(':')[3] ?? '';
    const { endpoint } = this.#options;
    const client = this.#byRegion.get(region) ?? new SNSClient({ region, ...(endpoint && { endpoint }) });
    this.#byRegion.set(region, client);
    return client;
  }
}
