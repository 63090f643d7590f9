import { sign } from 'node:crypto';

type SnsMessageType = 'Notification' | 'SubscriptionConfirmation' | 'UnsubscribeConfirmation';

/** What SNS sends, before it is signed. */
export interface UnsignedSnsMessage {
  Type: SnsMessageType;
  MessageId: string;
  TopicArn: string;
  Message: string;
  /** ISO 8601 with milliseconds. */
  Timestamp: string;
  Subject?: string;
  /** Of both confirmations, as SubscribeURL. */
  Token?: string;
  SubscribeURL?: string;
  /** Of a notification; not signed, since it differs by subscription. */
  UnsubscribeURL?: string;
}

export interface SnsMessage extends UnsignedSnsMessage {
  /** 1: SHA-1, 2: SHA-256. */
  SignatureVersion: '1' | '2';
  Signature: string;
  SigningCertURL: string;
}

const SIGNED = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: [
    ...['Message', 'MessageId', 'SubscribeURL', 'Timestamp'],
    ...['Token', 'TopicArn', 'Type'],
  ],
  UnsubscribeConfirmation: [
    ...['Message', 'MessageId', 'SubscribeURL', 'Timestamp'],
    ...['Token', 'TopicArn', 'Type'],
  ],
} as Record<SnsMessageType, (keyof UnsignedSnsMessage)[]>;

/**
 * Name and value of each signed field that is there, in byte order of the names, each ended by a newline.
 * Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
 */
export function stringToSign(message: UnsignedSnsMessage): string {
  return SIGNED[message.Type]
    .filter(name => message[name] !== undefined)
    .map(name => `${name}\n${message[name]}\n`)
    .join('');
}

export interface Signing {
  version: '1' | '2';
  /** PEM */
  key: string;
  certUrl: string;
}

export function signMessage(message: UnsignedSnsMessage, { version, key, certUrl }: Signing): SnsMessage {
  const hash = version === '1' ? 'RSA-SHA1' : 'RSA-SHA256';
  return {
    ...message,
    SignatureVersion: version,
    Signature: sign(hash, Buffer.from(stringToSign(message)), key).toString('base64'),
    SigningCertURL: certUrl,
  };
}
