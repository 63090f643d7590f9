import MessageValidator from 'sns-validator';
import { AppError } from '../errors.ts';

/** An SNS message whose signature was checked, of a topic that is ours. */
export interface SnsMessage {
  Type: 'Notification' | 'SubscriptionConfirmation';
  MessageId: string;
  TopicArn: string;
  Message: string;
  Timestamp: string;
  Token?: string;
}

export interface SnsTrust {
  /** Topics that are believed. */
  topics: () => ReadonlySet<string>;
  /** Exact `host[:port]` that may serve signing certificates besides SNS's own. */
  certificateHosts: readonly string[];
}

export type VerifySns = (body: string) => Promise<SnsMessage>;

const SIGNED = ['MessageId', 'Subject', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'] as const;
const SNS_HOST = /^sns\.[a-z]{2}(-[a-z]+)+-\d\.amazonaws\.com(\.cn)?$/;
const CERTIFICATE_PATH = /^\/SimpleNotificationService-[0-9a-f]{32}\.pem$/;
/** SNS waits 15 seconds for an answer and tries again after; a certificate server that hangs must not use that up. */
const TIMEOUT_MS = 5_000;

/**
 * The gate at the SNS door, each check before what it protects: structure, then the topic, then where the certificate
 * is, and only then sns-validator, which fetches that certificate and checks the signature.
 */
export function snsGate(trust: SnsTrust): VerifySns {
  const validator = new MessageValidator(hostPattern(trust.certificateHosts));
  return async body => {
    const message = structure(body);
    if (!trust.topics().has(message['TopicArn'] ?? '')) {
      throw untrusted(
        `topic ${message['TopicArn']} is not one of this service's; name it in SNS_TOPIC_ARNS if it is yours`,
      );
    }
    checkCertificateUrl(message['SigningCertURL'] ?? '', trust.certificateHosts);
    await checkSignature(validator, message);
    return message as unknown as SnsMessage;
  };
}

/** Strings only, and no line break in what is signed line by line: else one message could be read as another. */
function structure(body: string): Record<string, string> {
  const parsed = parse(body);
  const entries = Object.entries(parsed);
  for (const [name, value] of entries) {
    if (typeof value !== 'string') throw malformed(`${name} is not a string`, name);
  }
  const message = parsed as Record<string, string>;
  for (const name of [
    'Type',
    'MessageId',
    'TopicArn',
    'Message',
    'Timestamp',
    'Signature',
    'SignatureVersion',
    'SigningCertURL',
  ]) {
    if (!message[name] && (name !== 'Message' || !(name in message)))
      throw malformed(`${name} is missing`, name);
  }
  for (const name of SIGNED) {
    if (/[\r\n]/.test(message[name] ?? '')) throw malformed(`${name} has a line break`, name);
  }
  if (message['Type'] !== 'Notification' && message['Type'] !== 'SubscriptionConfirmation') {
    throw malformed(`Type is ${JSON.stringify(message['Type'])}`, 'Type');
  }
  if (Number.isNaN(Date.parse(message['Timestamp'] ?? '')))
    throw malformed('Timestamp is not a time', 'Timestamp');
  return message;
}

function parse(body: string): object {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch {
    // Answered below: what it is instead does not matter.
  }
  throw malformed('the body is not a JSON object', 'body');
}

function checkCertificateUrl(text: string, hosts: readonly string[]): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // The text itself must be what was parsed: readers of URLs disagree on everything that is not in normal form.
  const exact = url && text === `https://${url.host}${url.pathname}`;
  const known = url && (SNS_HOST.test(url.host) || hosts.includes(url.host));
  if (exact && known && CERTIFICATE_PATH.test(url.pathname)) return;
  throw untrusted(
    `SigningCertURL ${JSON.stringify(text.slice(0, 200))} is not where SNS keeps its certificates`,
  );
}

function hostPattern(hosts: readonly string[]): RegExp {
  const escaped = hosts.map(host => host.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp([SNS_HOST.source, ...escaped.map(host => `^${host}$`)].join('|'));
}

function checkSignature(validator: MessageValidator, message: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(untrusted('the signing certificate did not arrive in time')),
      TIMEOUT_MS,
    );
    validator.validate({ ...message }, error => {
      clearTimeout(timer);
      if (error) reject(untrusted(`its signature is not valid: ${error.message}`));
      else resolve();
    });
  });
}

function malformed(why: string, field: string): AppError {
  return new AppError('invalid', `not an SNS message: ${why}`, { field });
}

function untrusted(why: string): AppError {
  return new AppError('untrusted', `SNS message not believed: ${why}`);
}
