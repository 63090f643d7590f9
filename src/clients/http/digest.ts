import { createHash, randomBytes } from 'node:crypto';

/** A `Digest` challenge that can be answered: its parameters, by lower-case name. */
export interface DigestChallenge {
  algorithm: 'MD5' | 'SHA-256';
  realm: string;
  nonce: string;
  opaque: string | undefined;
  /** Absent where the server speaks RFC 2069 only. */
  qop: 'auth' | undefined;
}

export interface DigestAnswer {
  method: string;
  /** Path and query exactly as in the request line. */
  uri: string;
  username: string;
  password: string;
  /** How often the nonce has been used, this time included. */
  count: number;
  /** @default a random one */
  cnonce?: string;
}

/**
 * The strongest `Digest` challenge of a WWW-Authenticate value that can be answered here; undefined where there is none.
 * Source: RFC 7616 section 3.3. Session variants (`-sess`) and `auth-int` are not spoken.
 */
export function readDigestChallenge(header: string): DigestChallenge | undefined {
  const challenges = header
    .split(/\bDigest\s+(?=\w+\s*=)/i)
    .slice(1)
    .map(readOne)
    .filter(challenge => challenge !== undefined);
  return challenges.find(({ algorithm }) => algorithm === 'SHA-256') ?? challenges[0];
}

function readOne(text: string): DigestChallenge | undefined {
  const said = new Map<string, string>();
  for (const [, name = '', quoted, token] of text.matchAll(
    /([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g,
  )) {
    const key = name.toLowerCase();
    if (!said.has(key)) said.set(key, quoted?.replace(/\\(.)/g, '$1') ?? token ?? '');
  }
  const nonce = said.get('nonce');
  const algorithm = (said.get('algorithm') ?? 'MD5').toUpperCase();
  const qops = said
    .get('qop')
    ?.toLowerCase()
    .split(/[\s,]+/);
  if (nonce === undefined || (algorithm !== 'MD5' && algorithm !== 'SHA-256')) return undefined;
  if (qops && !qops.includes('auth')) return undefined;
  return {
    algorithm,
    realm: said.get('realm') ?? '',
    nonce,
    opaque: said.get('opaque'),
    qop: qops && 'auth',
  };
}

/** The Authorization value that answers a challenge. Source: RFC 7616 section 3.4. */
export function answerDigest(challenge: DigestChallenge, answer: DigestAnswer): string {
  const hash = (text: string) =>
    createHash(challenge.algorithm === 'MD5' ? 'md5' : 'sha256')
      .update(text)
      .digest('hex');
  const count = answer.count.toString(16).padStart(8, '0');
  const cnonce = answer.cnonce ?? randomBytes(16).toString('base64url');
  const secret = hash(`${answer.username}:${challenge.realm}:${answer.password}`);
  const target = hash(`${answer.method}:${answer.uri}`);
  const middle = challenge.qop ? [challenge.nonce, count, cnonce, challenge.qop] : [challenge.nonce];
  const response = hash([secret, ...middle, target].join(':'));
  return `Digest ${[
    `username=${quote(answer.username)}`,
    `realm=${quote(challenge.realm)}`,
    `uri=${quote(answer.uri)}`,
    `algorithm=${challenge.algorithm}`,
    `nonce=${quote(challenge.nonce)}`,
    ...(challenge.qop ? [`nc=${count}`, `cnonce=${quote(cnonce)}`, `qop=${challenge.qop}`] : []),
    `response="${response}"`,
    ...(challenge.opaque === undefined ? [] : [`opaque=${quote(challenge.opaque)}`]),
  ].join(', ')}`;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
