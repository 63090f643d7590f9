import { constants, createHash, createPrivateKey, type KeyObject, privateEncrypt, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { AppError } from '../../domain/errors.ts';
import { normalizePem } from '../../lib/pem.ts';

/** Version of Chef's header signing protocol: `1.3` signs with SHA-256, `1.1` with SHA-1 for old servers. */
export type SigningVersion = '1.1' | '1.3';

const ALGORITHM: Record<SigningVersion, string> = { '1.1': 'sha1', '1.3': 'sha256' };

/** Chef Infra Server API version: from 1 on, a client's keys are objects of their own. */
const API_VERSION = '1';

export interface SigningOptions {
  version: SigningVersion;
  /** Client or user whose key signs. */
  clientName: string;
  /** RSA private key. */
  key: KeyObject;
  method: string;
  /** Path of the URL, with `/organizations/ORG` and without the query. */
  path: string;
  body: string;
  /** The server refuses a time more than 15 minutes off its own. */
  time: Date;
}

/**
 * The headers that prove to a Chef server who asks.
 * Source: https://docs.chef.io/server/api_chef_server/#authentication-headers and
 * https://github.com/chef/mixlib-authentication, signedheaderauth.rb
 */
export async function signedHeaders(options: SigningOptions): Promise<Record<string, string>> {
  const headers: Record<string, string> = {
    'X-Ops-Server-API-Version': API_VERSION,
    'X-Ops-Sign': `algorithm=${ALGORITHM[options.version]};version=${options.version};`,
    'X-Ops-UserId': options.clientName,
    'X-Ops-Timestamp': timestamp(options.time),
    'X-Ops-Content-Hash': digest(options.version, options.body),
  };
  const lines = (await signature(options)).toString('base64').match(/.{1,60}/g);
  for (const [index, line] of (lines ?? []).entries()) headers[`X-Ops-Authorization-${index + 1}`] = line;
  return headers;
}

/** The text that is signed. */
export function canonicalRequest({ version, clientName, method, path, body, time }: SigningOptions): string {
  const bodyHash = digest(version, body);
  if (version === '1.1') {
    return [
      `Method:${method.toUpperCase()}`,
      `Hashed Path:${digest(version, canonicalPath(path))}`,
      `X-Ops-Content-Hash:${bodyHash}`,
      `X-Ops-Timestamp:${timestamp(time)}`,
      `X-Ops-UserId:${digest(version, clientName)}`,
    ].join('\n');
  }
  return [
    `Method:${method.toUpperCase()}`,
    `Path:${canonicalPath(path)}`,
    `X-Ops-Content-Hash:${bodyHash}`,
    `X-Ops-Sign:version=${version}`,
    `X-Ops-Timestamp:${timestamp(time)}`,
    `X-Ops-UserId:${clientName}`,
    `X-Ops-Server-API-Version:${API_VERSION}`,
  ].join('\n');
}

/** A path without doubled slashes, and without one at its end but for `/` itself. */
export function canonicalPath(path: string): string {
  const single = path.replace(/\/+/g, '/');
  return single.length > 1 ? single.replace(/\/$/, '') : single;
}

/**
 * An RSA private key from PEM, PKCS#1 (as Chef makes them) or PKCS#8, as a file or an environment file has it.
 * @throws AppError `invalid`; nothing of the key is in the message
 */
export function parseKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(normalizePem(pem));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : '';
    throw new AppError(
      'invalid',
      `the Chef client key is not a readable private key${code}: give the PEM text that knife or the Chef server made, whole and without a passphrase`,
    );
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw new AppError(
      'invalid',
      `the Chef client key is ${key.asymmetricKeyType}: Chef signs with RSA keys`,
    );
  }
  return key;
}

/** RSA takes a fifth of a millisecond, which in 1.3 is a thread's of its own. */
const signInThread = promisify<string, Buffer, KeyObject, Buffer>(sign);

/** Of the last second that was signed, by their texts: within one, a node is read several times. */
interface Recent {
  second: string;
  signatures: Map<string, Promise<Buffer>>;
}

const recent = new WeakMap<KeyObject, Recent>();

async function signature(options: SigningOptions): Promise<Buffer> {
  const text = canonicalRequest(options);
  if (options.version === '1.3') return signOnce(options.key, timestamp(options.time), text);
  // Before 1.3 the text itself is encrypted with the private key, not a digest of it.
  return privateEncrypt({ key: options.key, padding: constants.RSA_PKCS1_PADDING }, Buffer.from(text));
}

function signOnce(key: KeyObject, second: string, text: string): Promise<Buffer> {
  let known = recent.get(key);
  if (known?.second !== second) {
    known = { second, signatures: new Map() };
    recent.set(key, known);
  }
  const found = known.signatures.get(text) ?? signInThread('sha256', Buffer.from(text), key);
  known.signatures.set(text, found);
  return found;
}

function digest(version: SigningVersion, text: string): string {
  return createHash(ALGORITHM[version]).update(text).digest('base64');
}

function timestamp(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
