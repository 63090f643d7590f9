import type { SnsClient } from './clients/sns.ts';
import { AppError } from './errors.ts';

export interface Push {
  topicArn: string;
  /** How SNS reaches the service. */
  publicUrl: URL;
  /** Of the queue that keeps what could not be delivered. */
  deadLetterArn: string;
}

/** Where SNS is to deliver. */
export function pushEndpoint(publicUrl: URL): string {
  return `${publicUrl.href.replace(/\/+$/, '')}/sns`;
}

/**
 * Subscribes `<publicUrl>/sns`. SNS then asks that address to confirm, and asks again each time this is done before
 * it did.
 * @returns whether it is confirmed
 * @throws AppError as `callAws` does
 */
export async function providePush(sns: SnsClient, push: Push): Promise<boolean> {
  const { topicArn, publicUrl, deadLetterArn } = push;
  const endpoint = pushEndpoint(publicUrl);
  const protocol = publicUrl.protocol.slice(0, -1);
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: deadLetterArn });
  const listed = (await sns.subscriptions(topicArn)).find(
    each => each.protocol === protocol && each.endpoint === endpoint,
  );
  if (listed?.arn) {
    const present = await sns.subscriptionAttributes(listed.arn);
    if (!present['RedrivePolicy']) {
      await sns.setSubscriptionAttribute(listed.arn, 'RedrivePolicy', RedrivePolicy);
    }
    if (present['PendingConfirmation'] !== 'true') return true;
  }
  try {
    await sns.subscribe(topicArn, protocol, endpoint, { RedrivePolicy });
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'rejected')) throw error;
    // It waits already, with other attributes; without any, SNS only asks it again.
    await sns.subscribe(topicArn, protocol, endpoint);
  }
  return false;
}
