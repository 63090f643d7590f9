import type { QueueMessage } from '../../clients/aws/sqs.ts';
import { AppError } from '../../domain/errors.ts';
import type { InboundEvent } from '../../domain/event.ts';
import { isObject } from '../../domain/json.ts';
import { parseEvent } from '../../domain/parse-event.ts';
import type { PlaceOf } from '../../domain/places.ts';
import { regionOfQueue } from '../../domain/queue-url.ts';
import { saidAt } from '../../domain/said-at.ts';
import { decode } from '../decode.ts';
import type { VerifySns } from '../sns/verify.ts';

/** SNS hands a message to a queue at once; an hour allows for an outage of the queue. */
const STALE_MS = 3_600_000;

/**
 * Reads a message of a queue: an SNS envelope, whose signature is checked as in `POST /sns`, or a bare event. An envelope's
 * place is its topic, whatever queue it is in: SNS signed it, and who may write to the queue says nothing of it.
 * @throws AppError `untrusted`, or `invalid` for what cannot be understood
 */
export async function readMessage(
  message: QueueMessage,
  verify: VerifySns,
  placeOf: PlaceOf,
): Promise<InboundEvent> {
  const fields = decode(message.body);
  if (!isEnvelope(fields)) {
    return {
      event: understand(fields, regionOfQueue(message.queueUrl)),
      source: 'sqs',
      messageId: eventBridgeId(fields) ?? message.id,
      place: placeOf.ofQueue(message.queueUrl),
      publishedAt: message.sentAt,
      saidAt: saidAt(fields, message.sentAt),
    };
  }
  const envelope = await verify(JSON.stringify(fields));
  if (envelope.Type !== 'Notification') {
    throw new AppError('invalid', `an SNS ${envelope.Type} is not for a queue; confirm it over HTTPS`);
  }
  const publishedAt = new Date(envelope.Timestamp);
  const inner = decode(envelope.Message);
  return {
    event: understand(inner, envelope.TopicArn.split(':')[3]),
    source: 'sqs',
    messageId: envelope.MessageId,
    place: placeOf.ofTopic(envelope.TopicArn),
    publishedAt,
    saidAt: saidAt(inner, publishedAt),
    ...(message.sentAt.getTime() - publishedAt.getTime() > STALE_MS && {
      quarantine: {
        code: 'stale',
        message: `signed at ${envelope.Timestamp} and put into the queue at ${message.sentAt.toISOString()}: a replay, or a message that was moved by hand`,
      },
    }),
  };
}

function understand(fields: unknown, region: string | undefined): InboundEvent['event'] {
  const event = parseEvent(fields, { region });
  if (event) return event;
  throw new AppError('invalid', 'the message is none that this service understands');
}

/** An object with SNS's own fields; a message that has them is never taken without its signature. */
function isEnvelope(fields: unknown): boolean {
  return (
    isObject(fields) &&
    typeof fields['Type'] === 'string' &&
    ['TopicArn', 'Signature', 'SigningCertURL'].some(name => name in fields)
  );
}

/** EventBridge delivers at least once; its id is the same in every copy. */
function eventBridgeId(fields: unknown): string | undefined {
  const id = isObject(fields) && 'detail-type' in fields ? fields['id'] : undefined;
  return typeof id === 'string' && id !== '' && id.length <= 100 ? id : undefined;
}
