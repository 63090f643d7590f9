import { type RequestHandler, Router, text } from 'express';
import type { Raise } from '../../alerts/alerts.ts';
import { alert } from '../../domain/alert.ts';
import { AppError } from '../../domain/errors.ts';
import { parseEvent } from '../../domain/parse-event.ts';
import type { PlaceOf } from '../../domain/places.ts';
import { saidAt } from '../../domain/said-at.ts';
import { decode } from '../decode.ts';
import { RateLimit } from '../rate-limit.ts';
import type { Receipt, Receive } from '../receive.ts';
import type { VerifySns } from './verify.ts';

export interface SnsEndpoint {
  verify: VerifySns;
  receive: Receive;
  /** Asks SNS itself to confirm the subscription; the URL in the message is never opened. */
  confirm: (topicArn: string, token: string) => Promise<void>;
  raise: Raise;
  /** ARNs of the topics whose messages are accepted. */
  topics: Pick<ReadonlySet<string>, 'has'>;
  placeOf: Pick<PlaceOf, 'ofTopic'>;
}

/** SNS retries for minutes, or for hours if it is configured to: an older message was more likely recorded and sent again. */
const STALE_MS = 3_600_000;

/** Of messages without a signature, in each process: anybody can send as many as they like. */
const RAW_ALERTS = { limit: 10, windowMs: 60_000 };

/** `POST /sns`: what SNS delivers to its HTTPS subscription. */
export function snsRoutes(sns: SnsEndpoint): Router {
  const rawAlerts = new RateLimit(RAW_ALERTS);
  const receiveSns: RequestHandler = async (request, response) => {
    if (request.get('x-amz-sns-rawdelivery') === 'true') {
      const topic = request.get('x-amz-sns-topic-arn') ?? '';
      // The header may be anybody's: an alert names a topic of this service or none is raised.
      if (sns.topics.has(topic) && rawAlerts.take(topic) === 0)
        sns.raise(alert('raw-delivery', `an unsigned message, said to be of ${topic}, was refused`));
      throw new AppError(
        'untrusted',
        'raw message delivery carries no signature; set RawMessageDelivery of the subscription to false',
      );
    }
    response.json(await take(String(request.body ?? ''), sns));
  };
  // SNS says text/plain, and sends up to 256 KiB of message, which JSON quotes may double; it compresses nothing.
  const body = text({ type: () => true, limit: '600kb', inflate: false });
  return Router().post('/sns', body, receiveSns);
}

async function take(
  body: string,
  { verify, receive, confirm, raise, placeOf }: SnsEndpoint,
): Promise<Receipt> {
  const message = await verify(body);
  if (message.Type === 'SubscriptionConfirmation') {
    await confirm(message.TopicArn, message.Token ?? '');
    return { outcome: 'confirmed' };
  }
  if (message.Type === 'UnsubscribeConfirmation') {
    raise(alert('unsubscribed', `SNS says that this service is no longer subscribed to ${message.TopicArn}`));
    return { outcome: 'ignored' };
  }
  const publishedAt = new Date(message.Timestamp);
  const fields = decode(message.Message);
  return receive({
    event: parseEvent(fields, { region: message.TopicArn.split(':')[3] }),
    source: 'sns',
    messageId: message.MessageId,
    place: placeOf.ofTopic(message.TopicArn),
    publishedAt,
    saidAt: saidAt(fields, publishedAt),
    ...(Date.now() - publishedAt.getTime() > STALE_MS && {
      quarantine: {
        code: 'stale',
        message: `published at ${message.Timestamp}, more than an hour before it came: a replay, or SNS was late`,
      },
    }),
  });
}
