import { type RequestHandler, Router, text } from 'express';
import { AppError } from '../errors.ts';
import { parseEvent } from '../parse-event.ts';
import type { Receipt, Receive } from './receive.ts';
import type { VerifySns } from './verify-sns.ts';

export interface SnsDoor {
  verify: VerifySns;
  receive: Receive;
  /** Asks SNS itself to confirm the subscription; the URL in the message is never opened. */
  confirm: (topicArn: string, token: string) => Promise<void>;
}

/** `POST /sns`: what SNS delivers to its HTTPS subscription. */
export function snsRoutes(door: SnsDoor): Router {
  const receiveSns: RequestHandler = async (request, response) => {
    if (request.get('x-amz-sns-rawdelivery') === 'true') {
      throw new AppError(
        'untrusted',
        'raw message delivery carries no signature; set RawMessageDelivery of the subscription to false',
      );
    }
    response.json(await take(String(request.body ?? ''), door));
  };
  // SNS says text/plain, and sends up to 256 KiB of message, which JSON quotes may double.
  return Router().post('/sns', text({ type: () => true, limit: '600kb' }), receiveSns);
}

async function take(body: string, { verify, receive, confirm }: SnsDoor): Promise<Receipt> {
  const message = await verify(body);
  if (message.Type === 'SubscriptionConfirmation') {
    await confirm(message.TopicArn, message.Token ?? '');
    return { outcome: 'confirmed' };
  }
  return receive({
    event: parseEvent(parseMessage(message.Message), message.TopicArn.split(':')[3]),
    source: 'sns',
    messageId: message.MessageId,
    publishedAt: new Date(message.Timestamp),
  });
}

/** Topics carry what people write, too: what is not JSON is not ours. */
function parseMessage(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
