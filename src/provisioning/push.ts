import type { SnsClient } from '../clients/aws/sns.ts';
import { AppError, describe } from '../domain/errors.ts';

export interface Push {
  topicArn: string;
  /** How SNS reaches the service; it may have a user and a password. */
  publicUrl: URL;
  /** Of the queue that keeps what could not be delivered. */
  deadLetterArn: string;
}

export interface Subscribed {
  confirmed: boolean;
  /** ARNs of the subscriptions of the same address with another password. */
  otherPasswords: string[];
}

/** Where SNS is to deliver. */
function pushEndpoint(publicUrl: URL): string {
  return `${publicUrl.href.replace(/\/+$/, '')}/sns`;
}

/** The same with asterisks for the password, as SNS lists it. */
export function shownEndpoint(publicUrl: URL): string {
  return withoutPassword(pushEndpoint(publicUrl), publicUrl);
}

function withoutPassword(text: string, { password }: URL): string {
  return password ? text.replaceAll(`:${password}@`, ':****@') : text;
}

/**
 * Subscribes `<publicUrl>/sns`. SNS then asks that address to confirm, and asks again each time this is done before
 * it did.
 * @throws AppError as `callAws` does, without the password
 */
export async function providePush(sns: SnsClient, push: Push): Promise<Subscribed> {
  try {
    return await subscribe(sns, push);
  } catch (error) {
    if (!(error instanceof AppError) || !push.publicUrl.password) throw error;
    // SNS may repeat the endpoint in its answer, and the cause of an error is logged with it.
    throw new AppError(error.code, withoutPassword(describe(error), push.publicUrl));
  }
}

async function subscribe(sns: SnsClient, push: Push): Promise<Subscribed> {
  const { topicArn, publicUrl, deadLetterArn } = push;
  const endpoint = pushEndpoint(publicUrl);
  const protocol = publicUrl.protocol.slice(0, -1);
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: deadLetterArn });
  const { subscription, otherPasswords } = await findSubscription(sns, push);
  if (subscription) {
    const { arn, attributes } = subscription;
    if (!attributes['RedrivePolicy']) await sns.setSubscriptionAttribute(arn, 'RedrivePolicy', RedrivePolicy);
    if (attributes['PendingConfirmation'] !== 'true') return { confirmed: true, otherPasswords };
  }
  try {
    await sns.subscribe(topicArn, protocol, endpoint, { RedrivePolicy });
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'rejected')) throw error;
    // It waits already, with other attributes; without any, SNS only asks it again.
    await sns.subscribe(topicArn, protocol, endpoint);
  }
  return { confirmed: false, otherPasswords };
}

/**
 * The subscription of this address, if SNS gave it an ARN. SNS hides the password of an address when it lists it, and shows
 * it whole only among the attributes of its subscription: there may be another one with an earlier password.
 * Source: https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html
 */
async function findSubscription(
  sns: SnsClient,
  { topicArn, publicUrl }: Push,
): Promise<{
  subscription: { arn: string; attributes: Record<string, string> } | undefined;
  otherPasswords: string[];
}> {
  const protocol = publicUrl.protocol.slice(0, -1);
  const ours = [pushEndpoint(publicUrl), shownEndpoint(publicUrl)];
  let subscription: { arn: string; attributes: Record<string, string> } | undefined;
  const otherPasswords: string[] = [];
  for (const { arn, protocol: listed, endpoint } of await sns.subscriptions(topicArn)) {
    if (!arn || listed !== protocol || !ours.includes(sameMask(endpoint))) continue;
    const attributes = await sns.subscriptionAttributes(arn);
    if (ours.includes(sameMask(attributes['Endpoint'] ?? endpoint))) subscription = { arn, attributes };
    else otherPasswords.push(arn);
  }
  return { subscription, otherPasswords };
}

/** SNS does not document how many asterisks it writes. */
function sameMask(endpoint: string): string {
  return endpoint.replace(/^([^/]+\/\/[^:/@]*):\*+@/, '$1:****@');
}
