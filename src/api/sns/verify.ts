import type { X509Certificate } from 'node:crypto';
import { AppError, describe } from '../../domain/errors.ts';
import { readEnvelope, type SnsEnvelope } from './envelope.ts';
import { checkSignature } from './signature.ts';

export interface SnsTrust {
  /** Topics whose messages are accepted. */
  topics: () => Pick<ReadonlySet<string>, 'has'>;
  /** Exact `host[:port]` that may serve signing certificates besides SNS's own. */
  certificateHosts: readonly string[];
  /** Fetches within bounds. @throws AppError `unavailable`, `rejected` */
  certificate: (url: string) => Promise<X509Certificate>;
}

/** @throws AppError `invalid`, `untrusted`; `unavailable` where the certificate cannot be had now */
export type VerifySns = (body: string) => Promise<SnsEnvelope>;

/** Clocks may be this far apart, as AWS allows it of signed requests. */
const CLOCK_SKEW_MS = 15 * 60_000;

/**
 * Verifies SNS messages. Each check comes before what it protects, and stops an attack of its own:
 * 1. structure: what could be read in two ways, by type juggling, line breaks or a field of another type of message;
 * 2. topic: anyone who has a topic gets SNS to sign what they like; nothing is fetched for a foreign topic;
 * 3. time: a message made to be new forever;
 * 4. form of the signature: one signature written in many ways, and versions that nobody can check;
 * 5. where the certificate is: a certificate of the attacker's own, and a request to a place of his choice;
 * 6. the certificate: what is found there but is not, or no longer, SNS's signing certificate;
 * 7. signature: everything that SNS did not say.
 * How old a message may be depends on its way here, and is the caller's to judge. No other URL in it is ever opened.
 */
export function createSnsVerifier({ topics, certificateHosts, certificate }: SnsTrust): VerifySns {
  return async body => {
    const envelope = readEnvelope(body);
    if (!topics().has(envelope.TopicArn)) {
      throw untrusted(
        `topic ${envelope.TopicArn} is not one of this service's; name it in SNS_TOPIC_ARNS or HOST_TOPIC_ARNS if it is yours`,
      );
    }
    checkTime(envelope);
    checkSignatureForm(envelope);
    const host = certificateHost(envelope, certificateHosts);
    const found = await certificate(envelope.SigningCertURL).catch(cannotBeHad);
    checkCertificate(found, host);
    await checkSignature(envelope, found).catch((error: unknown) => {
      throw untrusted(`its signature is not valid: ${describe(error)}`);
    });
    return envelope;
  };
}

function checkTime({ Timestamp }: SnsEnvelope): void {
  if (Date.parse(Timestamp) - Date.now() <= CLOCK_SKEW_MS) return;
  throw untrusted(`Timestamp ${Timestamp} is in the future; if it is not, set this host's clock right (NTP)`);
}

function checkSignatureForm({ Signature, SignatureVersion }: SnsEnvelope): void {
  if (SignatureVersion !== '1' && SignatureVersion !== '2') {
    throw untrusted(`SignatureVersion ${JSON.stringify(SignatureVersion)} is neither 1 nor 2`);
  }
  // Node reads Base64 leniently: without this, many texts would be the same signature.
  if (Buffer.from(Signature, 'base64').toString('base64') !== Signature) {
    throw untrusted('its Signature is not Base64');
  }
}

/**
 * Compared as text: readers of URLs disagree on `;`, `\`, `@`, upper case and dots. The region is that of the topic, which
 * is known, so there is no pattern of regions that `sns.s3-us-west-2.amazonaws.com` could fit.
 * @returns the host that SigningCertURL names
 */
function certificateHost({ SigningCertURL, TopicArn }: SnsEnvelope, others: readonly string[]): string {
  const [, host] =
    /^https:\/\/([^/]+)\/SimpleNotificationService-[0-9a-f]{32}\.pem$/.exec(SigningCertURL) ?? [];
  if (host && (host === snsHost(TopicArn) || others.includes(host))) return host;
  throw untrusted(
    `SigningCertURL ${JSON.stringify(SigningCertURL.slice(0, 200))} is not where SNS keeps its certificates; name its host in SNS_CERT_HOSTS if it is yours`,
  );
}

const SUFFIXES = new Map([
  ['aws', 'amazonaws.com'],
  ['aws-us-gov', 'amazonaws.com'],
  ['aws-cn', 'amazonaws.com.cn'],
]);

/** `sns.<region>.amazonaws.com`; undefined in partitions that are not public. */
function snsHost(topicArn: string): string | undefined {
  const [, partition = '', , region = ''] = topicArn.split(':');
  const suffix = SUFFIXES.get(partition);
  return suffix && `sns.${region}.${suffix}`;
}

/**
 * Its chain is not checked: SNS serves the certificate alone, and what vouches for it is that it came by HTTPS from this
 * host. Its CN keeps other files of that host from counting, and its dates those that SNS has given up.
 */
function checkCertificate(certificate: X509Certificate, host: string): void {
  const CN = commonName(certificate);
  const names = commonNames(host);
  if (typeof CN !== 'string' || !names.includes(CN)) {
    throw untrusted(`its certificate is that of ${JSON.stringify(CN)}, not of ${names.join(' or ')}`);
  }
  const now = Date.now();
  if (now < certificate.validFromDate.getTime() || now > certificate.validToDate.getTime()) {
    throw untrusted(
      `its certificate is valid from ${certificate.validFrom} to ${certificate.validTo}, not now`,
    );
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  if (asymmetricKeyType !== 'rsa' || (asymmetricKeyDetails?.modulusLength ?? 0) < 2048) {
    throw untrusted('its certificate has no RSA key of 2048 bits or more');
  }
}

/** Reading it costs more than the signature does. */
const read = new WeakMap<X509Certificate, unknown>();

/** Several CNs come as an array, which is not a name that SNS has. */
function commonName(certificate: X509Certificate): unknown {
  if (!read.has(certificate)) read.set(certificate, certificate.toLegacyObject().subject.CN);
  return read.get(certificate);
}

/**
 * What SNS calls itself in its signing certificates: sns.amazonaws.com in the old regions, and by region in the others.
 * Source: https://github.com/aws/aws-sdk-java-v2 SnsHostProvider, signingCertCommonName
 */
function commonNames(host: string): string[] {
  const [, rest] = /^sns\.([^:]+)/.exec(host) ?? [];
  const region = rest?.replace(/^us-gov-east-1\./, 'us-gov-west-1.');
  return ['sns.amazonaws.com', ...(region ? [`sns-signing.${region}`, `sns-${region}`] : [])];
}

/** A certificate that is away now may come back, so SNS shall try again; one that is none never becomes one. */
function cannotBeHad(error: unknown): never {
  if (error instanceof AppError && error.code === 'rejected') throw untrusted(error.message);
  throw error;
}

function untrusted(why: string): AppError {
  return new AppError('untrusted', `SNS message refused: ${why}`);
}
