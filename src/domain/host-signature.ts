import { isNodeName } from './identifiers.ts';

/** A host's own signature of its message, as it came and unchecked. */
export interface HostSignature {
  /** What it must have signed. */
  text: string;
  /** RSASSA-PKCS1-v1_5 with SHA-256, Base64. */
  value: string;
  /** Name of the topic or queue that the message was meant for. */
  audience: string;
  /** The host's clock; ISO 8601 in UTC, to the second. */
  time: string;
  /** Never the same twice. */
  nonce: string;
}

/** Why what is there cannot be a signature. */
export interface BadHostSignature {
  fault: string;
}

/** The fields of a registration that are acted upon: all of them are signed. */
const MESSAGE_FIELDS = ['type', 'method', 'chef_name', 'nagios_name', 'instance_id'] as const;

type JsonObject = Record<string, unknown>;

/**
 * What a host signs: `name:value` of each of these, in this order, each ended by a newline. A field that is not in the
 * message is there with an empty value, so none can be added or taken away. No value may hold a line break.
 */
export function hostSignatureText(
  message: JsonObject,
  { audience, time, nonce }: Pick<HostSignature, 'audience' | 'time' | 'nonce'>,
): string {
  const fields = MESSAGE_FIELDS.map(name => [name, message[name] ?? '']);
  return [['version', '1'], ['audience', audience], ...fields, ['time', time], ['nonce', nonce]]
    .map(([name, value]) => `${name}:${value}\n`)
    .join('');
}

const VALUE = /^[A-Za-z0-9+/]{340,1400}={0,2}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const NONCE = /^[\w-]{16,64}$/;

/**
 * Reads the `signature` of a host's message; undefined if it has none. It covers the fields as they were sent, also an
 * optional one that is malformed. Chef's request signatures are alike: https://github.com/chef/mixlib-authentication
 */
export function readHostSignature(message: JsonObject): HostSignature | BadHostSignature | undefined {
  const signature = message['signature'];
  if (signature === undefined || signature === null) return undefined;
  if (typeof signature !== 'object') return { fault: 'signature is no object' };
  const unsignable = MESSAGE_FIELDS.find(name => !isSignable(message[name]));
  if (unsignable) return { fault: `${unsignable} is not a text on one line` };
  const { version, audience, time, nonce, value } = signature as JsonObject;
  if (version !== '1') return { fault: 'signature.version is not "1"' };
  // Topics and queues have names of fewer characters than nodes may have.
  if (!isNodeName(audience)) return { fault: 'signature.audience is not the name of a topic or queue' };
  if (!matches(TIME, time) || Number.isNaN(Date.parse(time))) {
    return { fault: 'signature.time is not of the form 2026-03-02T10:15:42Z' };
  }
  if (!matches(NONCE, nonce)) {
    return { fault: 'signature.nonce is not 16 to 64 letters, digits, - and _' };
  }
  if (!matches(VALUE, value)) return { fault: 'signature.value is not the Base64 of an RSA signature' };
  return { text: hostSignatureText(message, { audience, time, nonce }), value, audience, time, nonce };
}

/** A line break could be read as the start of another field, and an object has no one text. */
function isSignable(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === 'string' ? !/[\r\n]/.test(value) : typeof value === 'number';
}

function matches(form: RegExp, value: unknown): value is string {
  return typeof value === 'string' && form.test(value);
}
