import type { Forger } from './forger.ts';

export interface Attack {
  name: string;
  message: (sns: Forger) => object | string | Promise<object | string>;
  headers?: Record<string, string>;
  status: number;
  says: RegExp;
  /** Requests that it makes the service send. @default none */
  fetches?: number;
}

const DAY_MS = 86_400_000;
const later = (ms: number) => new Date(Date.now() + ms);
const certUrl = (host: string) => `https://${host}/SimpleNotificationService-${'0'.repeat(32)}.pem`;

export const ATTACKS: Attack[] = [
  {
    name: 'a stranger signs with SNS’s own key for his own topic',
    message: sns => sns.ofStranger({ certUrl: sns.publisher.certificates.serve('bait') }),
    status: 403,
    says: /topic .*999999999999.* is not one of this service's/,
  },
  {
    name: 'a stranger’s message is cut so that it reads as one of ours',
    message: sns => sns.shifted(),
    status: 400,
    says: /Type has a line break/,
  },
  {
    name: 'a line break smuggles a field',
    message: sns => ({ ...sns.signed(), MessageId: 'a\nTimestamp\nb' }),
    status: 400,
    says: /MessageId has a line break/,
  },
  {
    name: 'a type that every object has as a property',
    message: sns => ({ ...sns.signed(), Type: 'constructor' }),
    status: 400,
    says: /Type is "constructor"/,
  },
  {
    name: 'an array reads like its one string',
    message: sns => ({ ...sns.signed(), TopicArn: [sns.publisher.topicArn] }),
    status: 400,
    says: /TopicArn is not a string/,
  },
  {
    name: 'a second SigningCertUrl in Lambda’s spelling takes the place of the first',
    message: sns => ({ ...sns.signed(), SigningCertUrl: certUrl('evil.example') }),
    status: 400,
    says: /SigningCertUrl is not a field of a Notification/,
  },
  {
    name: 'a notification carries the SubscribeURL of a confirmation',
    message: sns => ({ ...sns.signed(), SubscribeURL: 'https://evil.example/' }),
    status: 400,
    says: /SubscribeURL is not a field of a Notification/,
  },
  {
    name: 'a name is given twice, first as signed, then as wanted',
    message: sns =>
      JSON.stringify(sns.signed()).replace(
        /}$/,
        `,"Message":${JSON.stringify(JSON.stringify(sns.termination()))}}`,
      ),
    status: 403,
    says: /signature is not valid/,
    fetches: 1,
  },
  {
    name: 'characters that are the same bytes once signed',
    message: sns => ({ ...sns.publisher.envelope('\ufffd'), Message: '\ud800' }),
    status: 400,
    says: /Message is not well-formed/,
  },
  {
    name: 'a certificate on a host of the attacker’s',
    message: sns => sns.signed({ certUrl: certUrl('evil.example') }),
    status: 403,
    says: /SigningCertURL .* is not where SNS keeps its certificates/,
  },
  {
    name: 'a certificate in a bucket named sns',
    message: sns => sns.signed({ certUrl: certUrl('sns.s3-us-west-2.amazonaws.com') }),
    status: 403,
    says: /SigningCertURL/,
  },
  {
    name: 'a certificate of SNS in another region than the topic’s',
    message: sns => sns.signed({ certUrl: certUrl('sns.us-east-1.amazonaws.com') }),
    status: 403,
    says: /SigningCertURL/,
  },
  {
    name: 'a host that two readers of URLs read differently',
    message: sns => sns.signed({ certUrl: certUrl('sns.eu-west-1.amazonaws.com;.evil.example') }),
    status: 403,
    says: /SigningCertURL/,
  },
  {
    name: 'a certificate of somebody else that the host serves, too',
    message: sns => sns.signedBy({ commonName: 'www.amazonaws.com' }),
    status: 403,
    says: /is that of "www.amazonaws.com"/,
    fetches: 1,
  },
  {
    name: 'a certificate that begins like SNS’s',
    message: sns => sns.signedBy({ commonName: 'sns.amazonaws.com.evil.example' }),
    status: 403,
    says: /is that of "sns.amazonaws.com.evil.example"/,
    fetches: 1,
  },
  {
    name: 'a certificate that has expired',
    message: sns => sns.signedBy({ notBefore: later(-9 * DAY_MS), notAfter: later(-DAY_MS) }),
    status: 403,
    says: /is valid from .* to .*, not now/,
    fetches: 1,
  },
  {
    name: 'a certificate that is not valid yet',
    message: sns => sns.signedBy({ notBefore: later(DAY_MS) }),
    status: 403,
    says: /not now/,
    fetches: 1,
  },
  {
    name: 'a certificate whose key can be factored',
    message: sns => sns.weaklySigned(),
    status: 403,
    says: /no RSA key of 2048 bits/,
    fetches: 1,
  },
  {
    name: 'a certificate that is none',
    message: sns => sns.servedBy('<html>hello</html>'),
    status: 403,
    says: /is not a certificate/,
    fetches: 1,
  },
  {
    name: 'a certificate that does not exist',
    message: sns => sns.servedBy((_request, response) => void response.writeHead(404).end()),
    status: 403,
    says: /answered 404/,
    fetches: 1,
  },
  {
    name: 'a certificate that leads on to another place',
    message: sns =>
      sns.servedBy((_request, response) => {
        const location = sns.publisher.certificates.serve('the other place');
        response.writeHead(302, { location }).end();
      }),
    status: 403,
    says: /answered 302/,
    fetches: 1,
  },
  {
    name: 'a certificate of 200 MB',
    message: sns =>
      sns.servedBy((_request, response) => {
        const more = () => {
          while (!response.destroyed && response.write('A'.repeat(65_536)));
        };
        response.writeHead(200, { 'content-length': 200 * 1024 * 1024 }).on('drain', more);
        more();
      }),
    status: 403,
    says: /more than 65536 bytes/,
    fetches: 1,
  },
  {
    name: 'a certificate that never comes: SNS shall try again',
    message: sns => sns.servedBy(() => {}),
    status: 503,
    says: /did not arrive within 5000 ms|no answer within 5000 ms/,
    fetches: 1,
  },
  {
    name: 'a certificate that comes a byte at a time: SNS shall try again',
    message: sns =>
      sns.servedBy((_request, response) => {
        const timer = setInterval(() => response.write('A'), 100);
        response.on('close', () => clearInterval(timer));
      }),
    status: 503,
    says: /within 5000 ms/,
    fetches: 1,
  },
  {
    name: 'a signature in a version that is to come',
    message: sns => ({ ...sns.signed(), SignatureVersion: '3' }),
    status: 403,
    says: /SignatureVersion "3" is neither 1 nor 2/,
  },
  {
    name: 'the same signature written in another way',
    message: sns => ({ ...sns.signed(), Signature: `${sns.signed().Signature} ` }),
    status: 403,
    says: /not Base64/,
  },
  {
    name: 'the signature of another message',
    message: sns => ({ ...sns.signed(), Signature: sns.signed().Signature }),
    status: 403,
    says: /signature is not valid/,
    fetches: 1,
  },
  {
    name: 'a SHA-1 signature passed off as one of SHA-256',
    message: sns => ({ ...sns.signed({ version: '1' }), SignatureVersion: '2' }),
    status: 403,
    says: /signature is not valid/,
    fetches: 1,
  },
  {
    name: 'a message from the future, to be sent for a long time',
    message: sns => sns.signed({ Timestamp: later(16 * 60_000).toISOString() }),
    status: 403,
    says: /is in the future/,
  },
  {
    name: 'a time that two readers read differently',
    message: sns => sns.signed({ Timestamp: '2026-02-30T10:15:42.661Z' }),
    status: 400,
    says: /Timestamp is not a time/,
  },
  {
    name: 'a subject of a megabyte',
    message: sns => sns.signed({ Subject: 'x'.repeat(100_000) }),
    status: 400,
    says: /Subject is longer/,
  },
  {
    name: 'a body that unpacks to more than it is',
    message: sns => JSON.stringify(sns.signed()),
    headers: { 'content-encoding': 'gzip' },
    status: 400,
    says: /uncompressed/,
  },
  {
    name: 'a confirmation whose token was exchanged',
    message: sns => ({ ...sns.publisher.confirmation('UnsubscribeConfirmation', 'token'), Token: 'other' }),
    status: 403,
    says: /signature is not valid/,
    fetches: 1,
  },
];
