import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import fc from 'fast-check';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/service.ts';
import type { CertificateOptions } from '../parts/certificates.ts';
import { freshDirectory, until } from '../parts/process.ts';
import { type RedisServer, startRedis } from '../parts/redis.ts';
import { type SnsMessage, stringToSign } from '../parts/sns-message.ts';
import { type EnvelopeOptions, type SnsPublisher, startSnsPublisher } from '../parts/sns-publisher.ts';
import { startWebhook, type Webhook } from '../parts/webhook.ts';
import { terminationNotice } from '../parts/world.ts';
import { queued, startApi } from './service-fixture.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:deaths';
const STRANGER = 'arn:aws:sns:eu-west-1:999999999999:deaths';

let redis: RedisServer;
let publisher: SnsPublisher;
let webhook: Webhook;
let untrust: () => void;
let service: Service;

beforeAll(async () => {
  [redis, publisher, webhook] = await Promise.all([
    startRedis(),
    startSnsPublisher({ topicArn: TOPIC }),
    startWebhook(),
  ]);
  const { authority } = publisher;
  untrust = authority.trust();
  const { certificate, key } = await authority.issue();
  const directory = freshDirectory('attacks');
  const files = { TLS_CERT_FILE: join(directory, 'tls.crt'), TLS_KEY_FILE: join(directory, 'tls.key') };
  writeFileSync(files.TLS_CERT_FILE, `${certificate}\n${authority.certificate}\n`);
  writeFileSync(files.TLS_KEY_FILE, key, { mode: 0o600 });
  service = await startApi(redis.url, {
    ...files,
    SNS_TOPIC_ARNS: TOPIC,
    SNS_CERT_HOSTS: publisher.certHost,
    ALERT_WEBHOOK_URL: webhook.url,
  });
  expect(service.url).toMatch(/^https:/);
});
afterAll(async () => {
  await service?.close('end of the tests');
  untrust?.();
  await Promise.all([publisher, webhook, redis].map(part => part?.stop()));
});

let instances = 0;
const death = () => terminationNotice(`i-${(++instances).toString(16).padStart(8, '0')}`);
const signed = (options: EnvelopeOptions = {}) => publisher.envelope(death(), options);

async function post(body: object | string, headers: Record<string, string> = {}) {
  const response = await fetch(`${service.url}/sns`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain; charset=UTF-8', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  expect(text).not.toMatch(/node_modules|\.ts:\d|at \w+ \(/);
  return { status: response.status, body: JSON.parse(text) };
}

/** Signed with a certificate of its own. */
async function signedBy(options: CertificateOptions): Promise<SnsMessage> {
  const { certificate, key } = await publisher.authority.issue({ commonName: 'sns.amazonaws.com', ...options });
  return signed({ key, certUrl: publisher.certificates.serve(certificate) });
}

async function weaklySigned(): Promise<SnsMessage> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'sns.amazonaws.com' }], {
    keySize: 1024,
    algorithm: 'sha256',
  });
  return signed({ key, certUrl: publisher.certificates.serve(cert) });
}

const servedBy = (answer: string | RequestListener) => signed({ certUrl: publisher.certificates.serve(answer) });

/** What SNS signed for a stranger, whose message ends as ours would, read as one of ours: the signed bytes are the same. */
function shifted(): Record<string, string> {
  const { Message, MessageId, Timestamp, Type } = signed();
  const tail = `MessageId\n${MessageId}\nTimestamp\n${Timestamp}\nTopicArn\n${TOPIC}\nType\n${Type}`;
  const theirs = signed({ TopicArn: STRANGER, Message: `${Message}\n${tail}` });
  const rest = `MessageId\n${theirs.MessageId}\nTimestamp\n${theirs.Timestamp}\nTopicArn\n${STRANGER}\nType\n${Type}`;
  const ours = { ...theirs, Message, MessageId, Timestamp, TopicArn: TOPIC, Type: `${Type}\n${rest}` };
  const lines = ['Message', 'MessageId', 'Timestamp', 'TopicArn', 'Type'] as const;
  expect(lines.map(name => `${name}\n${ours[name]}\n`).join('')).toBe(stringToSign(theirs));
  return ours;
}

interface Attack {
  name: string;
  message: () => object | string | Promise<object | string>;
  headers?: Record<string, string>;
  status: number;
  says: RegExp;
  /** Requests that it makes the service send; none unless told. */
  fetches?: number;
}

const DAY_MS = 86_400_000;
const later = (ms: number) => new Date(Date.now() + ms);
const certUrl = (host: string) => `https://${host}/SimpleNotificationService-${'0'.repeat(32)}.pem`;

const ATTACKS: Attack[] = [
  {
    name: 'a stranger signs with SNS’s own key for his own topic',
    message: () => signed({ TopicArn: STRANGER, certUrl: publisher.certificates.serve('bait') }),
    status: 403,
    says: /topic .*999999999999.* is not one of this service's/,
  },
  {
    name: 'a stranger’s message is cut so that it reads as one of ours',
    message: shifted,
    status: 400,
    says: /Type has a line break/,
  },
  {
    name: 'a line break smuggles a field',
    message: () => ({ ...signed(), MessageId: 'a\nTimestamp\nb' }),
    status: 400,
    says: /MessageId has a line break/,
  },
  {
    name: 'an array reads like its one string',
    message: () => ({ ...signed(), TopicArn: [TOPIC] }),
    status: 400,
    says: /TopicArn is not a string/,
  },
  {
    name: 'a second SigningCertUrl in Lambda’s spelling takes the place of the first',
    message: () => ({ ...signed(), SigningCertUrl: certUrl('evil.example') }),
    status: 400,
    says: /SigningCertUrl is no field of a Notification/,
  },
  {
    name: 'a notification carries the SubscribeURL of a confirmation',
    message: () => ({ ...signed(), SubscribeURL: 'https://evil.example/' }),
    status: 400,
    says: /SubscribeURL is no field of a Notification/,
  },
  {
    name: 'a name is given twice, first as signed, then as wanted',
    message: () => JSON.stringify(signed()).replace(/}$/, `,"Message":${JSON.stringify(JSON.stringify(death()))}}`),
    status: 403,
    says: /signature is not valid/,
    fetches: 1,
  },
  {
    name: 'characters that are the same bytes once signed',
    message: () => ({ ...publisher.envelope('\ufffd'), Message: '\ud800' }),
    status: 400,
    says: /Message is not well-formed/,
  },
  {
    name: 'a certificate on a host of the attacker’s',
    message: () => signed({ certUrl: certUrl('evil.example') }),
    status: 403,
    says: /SigningCertURL .* is not where SNS keeps its certificates/,
  },
  {
    name: 'a certificate in a bucket named sns',
    message: () => signed({ certUrl: certUrl('sns.s3-us-west-2.amazonaws.com') }),
    status: 403,
    says: /SigningCertURL/,
  },
  {
    name: 'a certificate of SNS in another region than the topic’s',
    message: () => signed({ certUrl: certUrl('sns.us-east-1.amazonaws.com') }),
    status: 403,
    says: /SigningCertURL/,
  },
  {
    name: 'a host that two readers of URLs read differently',
    message: () => signed({ certUrl: certUrl('sns.eu-west-1.amazonaws.com;.evil.example') }),
    status: 403,
    says: /SigningCertURL/,
  },
  {
    name: 'a certificate of somebody else that the host serves, too',
    message: () => signedBy({ commonName: 'www.amazonaws.com' }),
    status: 403,
    says: /is that of "www.amazonaws.com"/,
    fetches: 1,
  },
  {
    name: 'a certificate that begins like SNS’s',
    message: () => signedBy({ commonName: 'sns.amazonaws.com.evil.example' }),
    status: 403,
    says: /is that of "sns.amazonaws.com.evil.example"/,
    fetches: 1,
  },
  {
    name: 'a certificate that has expired',
    message: () => signedBy({ notBefore: later(-9 * DAY_MS), notAfter: later(-DAY_MS) }),
    status: 403,
    says: /is valid from .* to .*, not now/,
    fetches: 1,
  },
  {
    name: 'a certificate that is not valid yet',
    message: () => signedBy({ notBefore: later(DAY_MS) }),
    status: 403,
    says: /not now/,
    fetches: 1,
  },
  {
    name: 'a certificate whose key can be factored',
    message: weaklySigned,
    status: 403,
    says: /no RSA key of 2048 bits/,
    fetches: 1,
  },
  {
    name: 'a certificate that is none',
    message: () => servedBy('<html>hello</html>'),
    status: 403,
    says: /is no certificate/,
    fetches: 1,
  },
  {
    name: 'a certificate that does not exist',
    message: () => servedBy((_request, response) => void response.writeHead(404).end()),
    status: 403,
    says: /answered 404/,
    fetches: 1,
  },
  {
    name: 'a certificate that leads on to another place',
    message: () =>
      servedBy((_request, response) => {
        const location = publisher.certificates.serve('the other place');
        response.writeHead(302, { location }).end();
      }),
    status: 403,
    says: /answered 302/,
    fetches: 1,
  },
  {
    name: 'a certificate of 200 MB',
    message: () =>
      servedBy((_request, response) => {
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
    message: () => servedBy(() => {}),
    status: 503,
    says: /did not arrive within 5000 ms|no answer within 5000 ms/,
    fetches: 1,
  },
  {
    name: 'a certificate that comes a byte at a time: SNS shall try again',
    message: () =>
      servedBy((_request, response) => {
        const timer = setInterval(() => response.write('A'), 100);
        response.on('close', () => clearInterval(timer));
      }),
    status: 503,
    says: /within 5000 ms/,
    fetches: 1,
  },
  {
    name: 'a signature in a version that is to come',
    message: () => ({ ...signed(), SignatureVersion: '3' }),
    status: 403,
    says: /SignatureVersion "3" is neither 1 nor 2/,
  },
  {
    name: 'the same signature written in another way',
    message: () => ({ ...signed(), Signature: `${signed().Signature} ` }),
    status: 403,
    says: /not Base64/,
  },
  {
    name: 'the signature of another message',
    message: () => ({ ...signed(), Signature: signed().Signature }),
    status: 403,
    says: /signature is not valid/,
    fetches: 1,
  },
  {
    name: 'a SHA-1 signature passed off as one of SHA-256',
    message: () => ({ ...signed({ version: '1' }), SignatureVersion: '2' }),
    status: 403,
    says: /signature is not valid/,
    fetches: 1,
  },
  {
    name: 'a message from the future, to be sent for a long time',
    message: () => signed({ Timestamp: later(16 * 60_000).toISOString() }),
    status: 403,
    says: /is in the future/,
  },
  {
    name: 'a time that two readers read differently',
    message: () => signed({ Timestamp: '2026-02-30T10:15:42.661Z' }),
    status: 400,
    says: /Timestamp is not a time/,
  },
  {
    name: 'a subject of a megabyte',
    message: () => signed({ Subject: 'x'.repeat(100_000) }),
    status: 400,
    says: /Subject is longer/,
  },
  {
    name: 'a body that unpacks to more than it is',
    message: () => JSON.stringify(signed()),
    headers: { 'content-encoding': 'gzip' },
    status: 400,
    says: /uncompressed/,
  },
  {
    name: 'a confirmation whose token was exchanged',
    message: () => ({ ...publisher.confirmation('UnsubscribeConfirmation', 'token'), Token: 'other' }),
    status: 403,
    says: /signature is not valid/,
    fetches: 1,
  },
];

test.each(ATTACKS)('$name: refused, nothing fetched but what was checked, no job', async attack => {
  const message = await attack.message();
  // A certificate that is known by now would hide whether it is asked for.
  const { certificates } = publisher;
  const [fetched, jobs] = [certificates.fetches(), (await queued(service.url)).length];
  const { status, body } = await post(message, attack.headers);
  expect({ status, says: body.detail }).toEqual({
    status: attack.status,
    says: expect.stringMatching(attack.says),
  });
  expect(certificates.fetches() - fetched).toBeLessThanOrEqual(attack.fetches ?? 0);
  expect(await queued(service.url)).toHaveLength(jobs);
});

describe('what is signed but may not act by itself', () => {
  test('an old message is quarantined as a held job, and hides no death that is new', async () => {
    const notice = death();
    const old = publisher.envelope(notice, { Timestamp: later(-61 * 60_000).toISOString() });
    const { body } = await post(old);
    expect(body).toEqual({ outcome: 'quarantined', jobId: expect.any(String) });
    const [job] = await queued(service.url);
    expect(job).toMatchObject({ id: body.jobId, state: 'held', error: { message: expect.stringContaining('replay') } });
    expect((await post(publisher.envelope(notice))).body.outcome).toBe('accepted');
    expect((await post(signed({ Timestamp: later(-59 * 60_000).toISOString() }))).body.outcome).toBe('accepted');
  });

  test('an UnsubscribeConfirmation is verified and told of, and nothing in it is opened', async () => {
    const opened = publisher.certificates.serve((_request, response) => void response.end());
    const message = publisher.confirmation('UnsubscribeConfirmation', 'token', { SubscribeURL: opened });
    expect(await post(message)).toEqual({ status: 200, body: { outcome: 'ignored' } });
    const told = await until('the alert', () => webhook.alerts.find(alert => alert.name === 'unsubscribed'));
    expect(told.whatHappened).toContain(TOPIC);
    expect(publisher.certificates.fetches(opened)).toBe(0);
  });

  test('raw delivery is refused and told of', async () => {
    const headers = { 'x-amz-sns-rawdelivery': 'true', 'x-amz-sns-topic-arn': TOPIC };
    expect((await post(death(), headers)).status).toBe(403);
    const told = await until('the alert', () => webhook.alerts.find(alert => alert.name === 'raw-delivery'));
    expect(told.whatHappened).toContain(TOPIC);
  });
});

describe('many at once with certificates that are not known', () => {
  test('of one certificate fetch it once', async () => {
    const { certificate, key } = await publisher.authority.issue({ commonName: 'sns.amazonaws.com' });
    const url = publisher.certificates.serve(certificate);
    const messages = Array.from({ length: 50 }, () => signed({ key, certUrl: url }));
    const answers = await Promise.all(messages.map(message => post(message)));
    expect(answers.map(({ body }) => body.outcome)).toEqual(messages.map(() => 'accepted'));
    expect(publisher.certificates.fetches(url)).toBe(1);
  });

  test('of many certificates have two fetches under way at most, and one that failed is not asked for at once', async () => {
    let [underWay, most] = [0, 0];
    const urls = Array.from({ length: 30 }, () =>
      publisher.certificates.serve((_request, response) => {
        most = Math.max(most, ++underWay);
        setTimeout(() => {
          underWay -= 1;
          response.writeHead(404).end();
        }, 20);
      }),
    );
    const send = () => Promise.all(urls.map(url => post(signed({ certUrl: url }))));
    const statuses = (await send()).map(({ status }) => status);
    expect(statuses).toEqual(urls.map(() => 403));
    expect(most).toBe(2);
    const [last = ''] = urls.slice(-1);
    const fetched = publisher.certificates.fetches(last);
    await post(signed({ certUrl: last }));
    expect(publisher.certificates.fetches(last)).toBe(fetched);
  });
});

test('of valid messages changed in any way, none is believed but with the content that was signed', async () => {
  const field = fc.constantFrom('Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type', 'Signature');
  const edit = fc.oneof(
    fc.record({ kind: fc.constant('insert' as const), field, at: fc.nat(), text: fc.string({ minLength: 1, maxLength: 3 }) }),
    fc.record({ kind: fc.constant('remove' as const), field, at: fc.nat() }),
    fc.record({ kind: fc.constant('flip' as const), field, at: fc.nat(), bit: fc.nat({ max: 7 }) }),
    fc.record({ kind: fc.constant('swap' as const), field, with: field }),
    fc.record({ kind: fc.constant('set' as const), field: fc.oneof(field, fc.string()), value: fc.jsonValue() }),
  );
  const edited = (message: Record<string, unknown>, each: (typeof edit extends fc.Arbitrary<infer E> ? E : never)) => {
    if (each.kind === 'set') return { ...message, [each.field]: each.value };
    if (each.kind === 'swap') {
      return { ...message, [each.field]: message[each.with], [each.with]: message[each.field] };
    }
    const characters = [...String(message[each.field])];
    const at = each.at % characters.length;
    if (each.kind === 'insert') characters.splice(at, 0, each.text);
    else if (each.kind === 'remove') characters.splice(at, 1);
    else characters[at] = String.fromCodePoint((characters[at]?.codePointAt(0) ?? 0) ^ (1 << each.bit));
    return { ...message, [each.field]: characters.join('') };
  };
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async edits => {
      const original = { ...signed({ Subject: 'Auto Scaling', MessageId: randomUUID() }) };
      const changed = edits.reduce<Record<string, unknown>>(edited, original);
      const same = (['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'] as const).every(
        name => changed[name] === original[name],
      );
      const before = (await queued(service.url)).length;
      const { status } = await post(changed);
      if (same && changed['Signature'] === original['Signature']) expect([200, 400, 403]).toContain(status);
      else expect([400, 403]).toContain(status);
      expect((await queued(service.url)).length - before).toBe(status === 200 ? 1 : 0);
    }),
    { numRuns: 300 },
  );
});
