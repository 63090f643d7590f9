import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import type { SnsMessage } from './sns-message.ts';

export interface DeliveryOptions {
  /** Further headers, or others in place of SNS's own. */
  headers?: Record<string, string>;
  subscriptionArn?: string;
  /** Raw delivery: the message alone is the body, and nothing is signed. */
  raw?: boolean;
  /** PEM of the authority that vouches for an HTTPS endpoint. */
  ca?: string;
  /** SNS waits 15 seconds for an answer. */
  timeoutMs?: number;
}

export interface Delivered {
  status: number;
  body: string;
}

/**
 * POSTs a message as SNS does; rejects when there is no answer in time.
 * Source: https://docs.aws.amazon.com/sns/latest/dg/http-header.html
 */
export async function deliver(
  message: SnsMessage,
  endpoint: string,
  options: DeliveryOptions = {},
): Promise<Delivered> {
  const body = options.raw ? message.Message : JSON.stringify(message, null, 2);
  const request = endpoint.startsWith('https:') ? requestHttps : requestHttp;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(endpoint, {
      method: 'POST',
      headers: {
        'x-amz-sns-message-type': message.Type,
        'x-amz-sns-message-id': message.MessageId,
        'x-amz-sns-topic-arn': message.TopicArn,
        ...(options.subscriptionArn !== undefined && {
          'x-amz-sns-subscription-arn': options.subscriptionArn,
        }),
        ...(options.raw && { 'x-amz-sns-rawdelivery': 'true' }),
        'Content-Length': String(Buffer.byteLength(body)),
        'Content-Type': 'text/plain; charset=UTF-8',
        Connection: 'Keep-Alive',
        'User-Agent': 'Amazon Simple Notification Service Agent',
        'Accept-Encoding': 'gzip,deflate',
        ...options.headers,
      },
      ...(options.ca !== undefined && { ca: options.ca }),
      signal: AbortSignal.timeout(options.timeoutMs ?? 15_000),
    })
      .once('response', resolve)
      .once('error', reject)
      .end(body);
  });
  return { status: response.statusCode ?? 0, body: await text(response) };
}

/** Whether SNS tries again after this status. Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html */
export function isRetried(status: number): boolean {
  return status === 429 || status >= 500;
}
