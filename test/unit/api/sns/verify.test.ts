import { X509Certificate } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { createSnsVerifier } from '../../../../src/api/sns/verify.ts';
import { type Certificate, makeSelfSigned } from '../../../support/certificates.ts';
import { signMessage } from '../../../support/sns-message.ts';

const signers = new Map<string, Certificate>();
const CASES: [partition: string, region: string, host: string, commonName: string][] = [
  ['aws', 'us-east-1', 'sns.us-east-1.amazonaws.com', 'sns.amazonaws.com'],
  ['aws', 'il-central-1', 'sns.il-central-1.amazonaws.com', 'sns-signing.il-central-1.amazonaws.com'],
  ['aws', 'ap-southeast-5', 'sns.ap-southeast-5.amazonaws.com', 'sns-signing.ap-southeast-5.amazonaws.com'],
  ['aws-us-gov', 'us-gov-west-1', 'sns.us-gov-west-1.amazonaws.com', 'sns-us-gov-west-1.amazonaws.com'],
  ['aws-us-gov', 'us-gov-east-1', 'sns.us-gov-east-1.amazonaws.com', 'sns-us-gov-west-1.amazonaws.com'],
  ['aws-cn', 'cn-north-1', 'sns.cn-north-1.amazonaws.com.cn', 'sns-cn-north-1.amazonaws.com.cn'],
  // Named in SNS_CERT_HOSTS.
  ['aws-iso', 'us-iso-east-1', 'sns.us-iso-east-1.c2s.ic.gov', 'sns-us-iso-east-1.c2s.ic.gov'],
  ['aws', 'us-east-1', 'localhost:4566', 'sns.amazonaws.com'],
];
const OTHERS = ['sns.us-iso-east-1.c2s.ic.gov', 'localhost:4566'];

beforeAll(async () => {
  for (const [, , , commonName] of CASES) signers.set(commonName, await makeSelfSigned({ commonName }));
});

/** What the verifier says to a message of this topic, signed by that certificate, which lies on that host. */
async function ask(partition: string, region: string, host: string, commonName: string) {
  const TopicArn = `arn:${partition}:sns:${region}:000000000000:terminations`;
  const { certificate, key } = signers.get(commonName) ?? { certificate: '', key: '' };
  const asked: string[] = [];
  const verify = createSnsVerifier({
    topics: () => new Set([TopicArn]),
    certificateHosts: OTHERS,
    async certificate(url) {
      asked.push(url);
      return new X509Certificate(certificate);
    },
  });
  const certUrl = `https://${host}/SimpleNotificationService-${'0'.repeat(32)}.pem`;
  const Timestamp = new Date().toISOString();
  const unsigned = { Type: 'Notification' as const, MessageId: 'id', TopicArn, Message: 'x', Timestamp };
  const answer = await verify(JSON.stringify(signMessage(unsigned, { version: '2', key, certUrl }))).then(
    () => 'accepted',
    (error: Error) => error.message,
  );
  return { answer, asked: asked.length };
}

test.each(CASES)('%s %s: accepted by the certificate of %s with the name %s', async (...signer) => {
  expect(await ask(...signer)).toEqual({ answer: 'accepted', asked: 1 });
});

test.each([
  ['aws', 'us-east-1', 'sns.us-east-1.amazonaws.com.cn'],
  ['aws-cn', 'cn-north-1', 'sns.cn-north-1.amazonaws.com'],
  ['aws', 'us-east-1', 'sns.us-west-2.amazonaws.com'],
  ['aws', 'us-east-1', 'sns.us-east-1.api.aws'],
  ['aws-iso', 'us-iso-east-1', 'sns.us-iso-east-1.amazonaws.com'],
  ['aws', 'us-east-1', 'localhost'],
  ['aws', 'us-east-1', 'localhost:4567'],
])('%s %s: a certificate on %s is not even asked for', async (partition, region, host) => {
  const { answer, asked } = await ask(partition, region, host, 'sns.amazonaws.com');
  expect([answer, asked]).toEqual([expect.stringContaining('SigningCertURL'), 0]);
});

test('a region’s certificate counts for that region’s host only', async () => {
  const { answer } = await ask(
    'aws',
    'us-east-1',
    'sns.us-east-1.amazonaws.com',
    'sns-signing.il-central-1.amazonaws.com',
  );
  expect(answer).toContain('is that of "sns-signing.il-central-1.amazonaws.com"');
});

test('what SNS adds without signing it is let through and not handed on', async () => {
  const { certificate, key } = signers.get('sns.amazonaws.com') ?? { certificate: '', key: '' };
  const TopicArn = 'arn:aws:sns:us-east-1:000000000000:terminations';
  const verify = createSnsVerifier({
    topics: () => new Set([TopicArn]),
    certificateHosts: OTHERS,
    certificate: async () => new X509Certificate(certificate),
  });
  const signed = signMessage(
    { Type: 'Notification', MessageId: 'id', TopicArn, Message: 'x', Timestamp: new Date().toISOString() },
    { version: '1', key, certUrl: `https://${OTHERS[1]}/SimpleNotificationService-${'0'.repeat(32)}.pem` },
  );
  const MessageAttributes = { host: { Type: 'String', Value: 'web-1' } };
  const given = { ...signed, MessageAttributes, SequenceNumber: '1', UnsubscribeURL: 'https://example.com/' };
  expect(await verify(JSON.stringify(given))).toEqual(signed);
});
