import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { ATTACKS } from '../support/api/attack-table.ts';
import { Forger } from '../support/api/forger.ts';
import { queued, startApi } from '../support/api/service-fixture.ts';
import { freshDirectory, until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type SnsPublisher, startSnsPublisher } from '../support/sns-publisher.ts';
import { startWebhook, type Webhook } from '../support/webhook.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:terminations';

let redis: RedisServer;
let publisher: SnsPublisher;
let webhook: Webhook;
let sns: Forger;
let untrust: () => void;
let service: Service;

beforeAll(async () => {
  [redis, publisher, webhook] = await Promise.all([
    startRedis(),
    startSnsPublisher({ topicArn: TOPIC }),
    startWebhook(),
  ]);
  sns = new Forger(publisher);
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

test.each(ATTACKS)('$name: refused, nothing fetched but what was checked, no job', async attack => {
  const message = await attack.message(sns);
  // A certificate that is cached already would hide whether it is asked for.
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

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

describe('what is signed but may not act by itself', () => {
  test('an old message is quarantined as a held job, and hides no termination that is new', async () => {
    const notice = sns.termination();
    const old = publisher.envelope(notice, { Timestamp: minutesAgo(61) });
    const { body } = await post(old);
    expect(body).toEqual({ outcome: 'quarantined', jobId: expect.any(String) });
    const [job] = await queued(service.url);
    expect(job).toMatchObject({
      id: body.jobId,
      state: 'held',
      error: { message: expect.stringContaining('replay') },
    });
    expect((await post(publisher.envelope(notice))).body.outcome).toBe('accepted');
    expect((await post(sns.signed({ Timestamp: minutesAgo(59) }))).body.outcome).toBe('accepted');
  });

  test('unsigned messages of hosts do not pile up: the oldest are removed, counted, and an alert says so', async () => {
    const message = { type: 'registration', method: 'delete', chef_name: 'web-1' };
    for (let n = 0; n < 11; n++)
      expect((await post(publisher.envelope(message))).body.outcome).toBe('quarantined');
    const told = await until('the alert', () =>
      webhook.alerts.find(alert => alert.name === 'quarantine-full'),
    );
    expect(told.whatHappened).toContain('node web-1 (unsigned)');
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    expect(metrics).toContain('chef_deregistration_quarantine_removed_total 1');
    expect(metrics).toMatch(/^chef_deregistration_build_info\{version="\d+\.\d+\.\d+"\} 1$/m);
    expect(await queued(service.url)).toHaveLength(13);
  });

  test('an UnsubscribeConfirmation is verified and alerted, and nothing in it is opened', async () => {
    const opened = publisher.certificates.serve((_request, response) => void response.end());
    const message = publisher.confirmation('UnsubscribeConfirmation', 'token', { SubscribeURL: opened });
    expect(await post(message)).toEqual({ status: 200, body: { outcome: 'ignored' } });
    const told = await until('the alert', () => webhook.alerts.find(alert => alert.name === 'unsubscribed'));
    expect(told.whatHappened).toContain(TOPIC);
    expect(publisher.certificates.fetches(opened)).toBe(0);
  });

  test('raw delivery is refused and alerted, but no text that a stranger chose', async () => {
    const raw = (topic: string) => ({ 'x-amz-sns-rawdelivery': 'true', 'x-amz-sns-topic-arn': topic });
    for (const topic of [`${TOPIC}-call-0900`, 'arn:aws:sns:call-0900', 'call 0900', TOPIC])
      expect((await post(sns.termination(), raw(topic))).status).toBe(403);
    const told = await until('the alert', () => webhook.alerts.find(alert => alert.name === 'raw-delivery'));
    expect(told.whatHappened).toBe(`an unsigned message, said to be of ${TOPIC}, was refused`);
  });
});

describe('many at once with certificates that are not known', () => {
  test('of one certificate fetch it once', async () => {
    const { certificate, key } = await publisher.authority.issue({ commonName: 'sns.amazonaws.com' });
    const url = publisher.certificates.serve(certificate);
    const messages = Array.from({ length: 50 }, () => sns.signed({ key, certUrl: url }));
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
    const send = () => Promise.all(urls.map(url => post(sns.signed({ certUrl: url }))));
    const statuses = (await send()).map(({ status }) => status);
    expect(statuses).toEqual(urls.map(() => 403));
    expect(most).toBe(2);
    const [last = ''] = urls.slice(-1);
    const fetched = publisher.certificates.fetches(last);
    await post(sns.signed({ certUrl: last }));
    expect(publisher.certificates.fetches(last)).toBe(fetched);
  });
});

test('of valid messages changed in any way, none is accepted but with the content that was signed', async () => {
  const field = fc.constantFrom(
    'Message',
    'MessageId',
    'Subject',
    'Timestamp',
    'TopicArn',
    'Type',
    'Signature',
  );
  const edit = fc.oneof(
    fc.record({
      kind: fc.constant('insert' as const),
      field,
      at: fc.nat(),
      text: fc.string({ minLength: 1, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('remove' as const), field, at: fc.nat() }),
    fc.record({ kind: fc.constant('flip' as const), field, at: fc.nat(), bit: fc.nat({ max: 7 }) }),
    fc.record({ kind: fc.constant('swap' as const), field, with: field }),
    fc.record({
      kind: fc.constant('set' as const),
      field: fc.oneof(field, fc.string()),
      value: fc.jsonValue(),
    }),
  );
  const edited = (
    message: Record<string, unknown>,
    each: typeof edit extends fc.Arbitrary<infer E> ? E : never,
  ) => {
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
      const original = { ...sns.signed({ Subject: 'Auto Scaling', MessageId: randomUUID() }) };
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
