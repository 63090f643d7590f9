import { parseJson } from '../domain/json.ts';

/** AWS's own tools make one JSON string of JSON; more than this many is nonsense. */
const MOST_STRINGS = 3;

/**
 * Reads the text of a message, in the same way for SNS and for SQS, so that a message means the same however it arrives:
 * JSON, with or without a byte order mark, as it is or within a JSON string (an EventBridge input template in quotes makes
 * one), or in Base64 (boto 2 sends so whatever is not its `RawMessage`).
 * Sources: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html,
 * https://github.com/boto/boto/blob/2.49.0/boto/sqs/message.py
 * @returns undefined for what is not JSON
 */
export function decode(text: string): unknown {
  let value = parse(text) ?? parse(Buffer.from(text, 'base64').toString('utf8'));
  for (let strings = 0; typeof value === 'string' && strings < MOST_STRINGS; strings++) value = parse(value);
  return value;
}

const parse = (text: string) => parseJson(text.replace(/^\uFEFF/, ''));
