import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiOnly } from '../support/api/service-fixture.ts';
import { until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type ServiceProcess, startServiceProcess } from '../support/service.ts';
import { type SnsPublisher, startSnsPublisher } from '../support/sns-publisher.ts';
import { terminationNotice } from '../support/termination.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:terminations';
const MEGABYTE = 1024 * 1024;

let redis: RedisServer;
let publisher: SnsPublisher;
let service: ServiceProcess;
let port: number;

beforeAll(async () => {
  [redis, publisher] = await Promise.all([startRedis(), startSnsPublisher({ topicArn: TOPIC })]);
  service = await startServiceProcess({
    ...apiOnly(redis.url),
    SNS_TOPIC_ARNS: TOPIC,
    SNS_CERT_HOSTS: publisher.certHost,
    NODE_EXTRA_CA_CERTS: publisher.caFile,
    LOG_LEVEL: 'info',
    // Whatever grows with what it is sent ends the process.
    NODE_OPTIONS: '--max-old-space-size=96',
  });
  port = Number(new URL(service.url).port);
});
afterAll(async () => {
  await service?.stop();
  await Promise.all([publisher, redis].map(part => part?.stop()));
});

/** Of the whole process, in bytes. */
function memory(): number {
  const status = readFileSync(`/proc/${service.child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

const agent = new Agent({ keepAlive: true, maxSockets: 16 });

/** The status; undefined where the connection was closed instead. */
function post(path: string, body: string | Buffer, headers: Record<string, string> = {}) {
  return new Promise<number | undefined>(resolve => {
    const sent = request(`${service.url}${path}`, { method: 'POST', agent, headers }, response => {
      response.resume().once('close', () => resolve(response.statusCode));
    });
    sent.once('error', () => resolve(undefined)).end(body);
  });
}

async function lives(): Promise<void> {
  expect(service.child.exitCode).toBeNull();
  const answer = await fetch(`${service.url}/healthz`);
  expect(answer.status).toBe(200);
  await answer.text();
}

/** A different one for each number, the same in every run but for random bytes. */
function hostileBodies(): (n: number) => string | Buffer {
  const signed = publisher.envelope(terminationNotice('i-00000001'), { Subject: '"'.repeat(1_000) });
  const text = JSON.stringify(signed);
  const but = (changes: object) => JSON.stringify({ ...signed, ...changes });
  const kinds: ((n: number) => string | Buffer)[] = [
    () => '['.repeat(20_000),
    () => `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
    () => `{"Type":"Notification","Message":"${'x'.repeat(100_000)}"}`,
    n => JSON.stringify(Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`key-${n}-${at}`, at]))),
    n => `{"__proto__":{"Type":"Notification"},"constructor":{"prototype":{"x":${n}}}}`,
    () => randomBytes(10_000),
    () => `9${'9'.repeat(10_000)}e999`,
    () => `"${'\\ud800'.repeat(10_000)}"`,
    () => '\u0000'.repeat(10_000),
    n => but({ TopicArn: `${TOPIC}${n}` }),
    n => text.slice(0, 1 + (n % (text.length - 1))),
    n => but({ SigningCertURL: `https://evil-${n}.example/x.pem` }),
    () => but({ Signature: randomBytes(256).toString('base64') }),
    n => but({ Token: { toString: n, valueOf: n } }),
    n => Buffer.alloc(n % 10 === 0 ? 700_000 : 7_000, 'A'),
  ];
  return n => kinds[n % kinds.length]?.(n) ?? '';
}

test('ten thousand hostile bodies are all refused, the process lives, and its memory stays flat', async () => {
  const hostileBody = hostileBodies();
  const send = async (from: number, to: number) => {
    for (let n = from; n < to; n += 16) {
      const batch = Array.from({ length: Math.min(16, to - n) }, (_, at) =>
        post('/sns', hostileBody(n + at)),
      );
      for (const status of await Promise.all(batch)) expect([400, 403, 413, undefined]).toContain(status);
    }
  };
  await send(0, 3_000);
  const warm = memory();
  await send(3_000, 10_000);
  expect(memory() - warm).toBeLessThan(48 * MEGABYTE);
  await lives();
  const { status } = await publisher.deliver(
    publisher.envelope(terminationNotice('i-00000001')),
    `${service.url}/sns`,
  );
  expect(status).toBe(200);
}, 240_000);

test('bodies beyond the limit are answered 413 before they have come, or never read to their end', async () => {
  expect(await post('/sns', 'x'.repeat(MEGABYTE))).toBe(413);
  const before = memory();
  const endless = new Promise<void>(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: ${1024 * MEGABYTE}\r\n\r\n`);
      const more = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
      };
      socket.on('drain', more);
      more();
    });
    socket.on('data', () => {}).on('error', () => {});
    socket.once('close', () => resolve());
  });
  await endless;
  expect(memory() - before).toBeLessThan(64 * MEGABYTE);
  await lives();
});

function open(text: string): Promise<{ socket: Socket; closed: Promise<string> }> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(text);
      resolve({ socket, closed });
    });
    socket.on('data', data => (answer += data)).once('error', reject);
    const closed = new Promise<string>(done => socket.once('close', () => done(answer)));
  });
}

describe('a client that is slow', () => {
  test.concurrent.each([
    ['says nothing', ''],
    ['never ends its headers', 'POST /sns HTTP/1.1\r\nHost: x\r\nX-A: '],
    ['never ends its body', 'POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"Type"'],
    [
      'says how long its body is, and no more',
      'POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n',
    ],
  ])('and %s is hung up on', async (_what, text) => {
    const { closed } = await open(text);
    expect(await closed).not.toMatch(/HTTP\/1.1 [25]/);
  });

  test.concurrent('and sends a byte at a time is hung up on, too', async () => {
    const { socket, closed } = await open('POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n');
    const timer = setInterval(() => socket.write('x'), 200);
    socket.on('error', () => {});
    await closed;
    clearInterval(timer);
  });
});

test('headers without end are refused, however they are spread', async () => {
  const head = 'GET /healthz HTTP/1.1\r\nHost: x\r\n';
  const { closed } = await open(`${head}X-Long: ${'x'.repeat(100_000)}\r\n\r\n`);
  expect(await closed).toMatch(/^HTTP\/1.1 431 /);
  await lives();
});

test('more connections than it takes are closed, and it answers again once they are gone', async () => {
  const opened = await Promise.all(Array.from({ length: 1_050 }, () => open('').catch(() => undefined)));
  let refused = 0;
  for (const each of opened) void each?.closed.then(() => (refused += 1));
  await until(
    'the ones beyond the limit to be closed',
    () => refused >= 50 - opened.filter(each => !each).length,
  );
  for (const each of opened) each?.socket.destroy();
  await until('an answer', async () => (await fetch(`${service.url}/healthz`)).ok);
});
