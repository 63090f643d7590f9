import { AppError } from '../../domain/errors.ts';
import { isObject, parseJson } from '../../domain/json.ts';

/** What SNS wraps around a message, in its own words. */
export interface SnsEnvelope {
  Type: 'Notification' | 'SubscriptionConfirmation' | 'UnsubscribeConfirmation';
  MessageId: string;
  TopicArn: string;
  Message: string;
  /** ISO 8601 in UTC, with milliseconds. */
  Timestamp: string;
  SignatureVersion: '1' | '2';
  /** Base64. */
  Signature: string;
  SigningCertURL: string;
  Subject?: string;
  /** Of both confirmations, as SubscribeURL. */
  Token?: string;
  SubscribeURL?: string;
}

interface Form {
  required: readonly string[];
  optional: readonly string[];
}

const EVERY = [
  ...['MessageId', 'TopicArn', 'Message', 'Timestamp'],
  ...['SignatureVersion', 'Signature', 'SigningCertURL'],
];
const CONFIRMATION: Form = { required: [...EVERY, 'Token', 'SubscribeURL'], optional: [] };

/** Source: https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html and its sister pages */
const FORMS = new Map<string, Form>([
  ['Notification', { required: EVERY, optional: ['Subject', 'UnsubscribeURL'] }],
  ['SubscriptionConfirmation', CONFIRMATION],
  ['UnsubscribeConfirmation', CONFIRMATION],
]);
const NAMES = ['Type', ...EVERY, 'Subject', 'UnsubscribeURL', 'Token', 'SubscribeURL'];

/** SNS's own limit is 256 KiB for a message, 100 characters for a subject; URLs and tokens have a few hundred. */
const LONGEST = 2_048;

/**
 * Reads an envelope of exactly SNS's form. Only the fields that SNS signs for its type come out, and what is needed to
 * check that, so that nothing unsigned can be taken for signed.
 * @throws AppError `invalid`, with the field
 */
export function readEnvelope(body: string): SnsEnvelope {
  const given = parse(body);
  const form = FORMS.get(text(given, 'Type'));
  if (!form) throw malformed('Type', `is ${JSON.stringify(given['Type']).slice(0, 80)}`);
  const { required, optional } = form;
  for (const name of Object.keys(given)) {
    // Lambda's SigningCertUrl, or the Token of a confirmation in a notification: a checker might read or sign it, and
    // another not. What SNS never had (MessageAttributes, SequenceNumber and what is to come) is read by nobody.
    const known = NAMES.find(each => each.toLowerCase() === name.toLowerCase());
    if (known && name !== 'Type' && !required.includes(name) && !optional.includes(name)) {
      throw malformed(name, `is not a field of a ${given['Type']}`);
    }
  }
  const names = ['Type', ...required, ...optional.filter(name => Object.hasOwn(given, name))];
  const fields = Object.fromEntries(names.map(name => [name, text(given, name)]));
  const { UnsubscribeURL, ...envelope } = fields;
  checkForm(fields);
  return envelope as unknown as SnsEnvelope;
}

function parse(body: string): Record<string, unknown> {
  const parsed = parseJson(body);
  if (isObject(parsed)) return parsed;
  throw malformed('body', 'is not a JSON object');
}

function text(given: Record<string, unknown>, name: string): string {
  const value = Object.hasOwn(given, name) ? given[name] : undefined;
  if (value === undefined || (value === '' && name !== 'Message' && name !== 'Subject')) {
    throw malformed(name, 'is missing');
  }
  // An array of one string reads like the string wherever it is joined into a text.
  if (typeof value !== 'string') throw malformed(name, 'is not a string');
  checkText(name, value);
  return value;
}

function checkText(name: string, value: string): void {
  // Lone surrogates all become U+FFFD in the bytes that are signed, so that different texts would have one signature.
  if (!value.isWellFormed()) throw malformed(name, 'is not well-formed Unicode');
  if (name === 'Message') return;
  // Signed is a list of lines: with a line break in it, one field could be read as several, and the message of a
  // stranger's topic as one of ours.
  if (/[\r\n]/.test(value)) throw malformed(name, 'has a line break');
  if (value.length > LONGEST) throw malformed(name, `is longer than ${LONGEST} characters`);
}

function checkForm({ MessageId = '', Timestamp = '' }: Record<string, string>): void {
  if (!/^[\w-]{1,100}$/.test(MessageId)) throw malformed('MessageId', 'is no id');
  const time = new Date(Timestamp);
  if (Number.isNaN(time.getTime()) || time.toISOString() !== Timestamp) {
    throw malformed('Timestamp', 'is not a time in the form of SNS, 2026-03-02T10:15:42.661Z');
  }
}

function malformed(field: string, why: string): AppError {
  return new AppError('invalid', `not an SNS message: ${field === 'body' ? 'the body' : field} ${why}`, {
    field,
  });
}
