import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AlertChannel } from '../../../src/alerts/channel.ts';
import { webhookAlerts } from '../../../src/alerts/webhook-channel.ts';
import { alert } from '../../../src/domain/alert.ts';
import { AppError, describe as inWords } from '../../../src/domain/errors.ts';
import { freePort } from '../../support/process.ts';

const SECRET = '/services/T000/B000/secret-of-the-hook';
let server: Server;
let url: URL;
let received: { headers: Record<string, unknown>; body: string }[];
let respond: { status: number; body?: string; headers?: Record<string, string> };
let channel: AlertChannel | undefined;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    received.push({ headers: request.headers, body: await text(request) });
    response.writeHead(respond.status, respond.headers).end(respond.body ?? `no hook at ${request.url}`);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}${SECRET}?key=also-secret`);
});
beforeEach(async () => {
  await channel?.close();
  received = [];
  respond = { status: 200, body: 'ok' };
});
afterAll(async () => {
  await channel?.close();
  server?.close();
  server?.closeAllConnections();
});

const failed = alert('job-failed', 'Chef server DELETE /nodes/web-1 answered 403', {
  node: 'web-1',
  instanceId: 'i-0a1b2c3d4e5f60718',
  job: 'j1',
});

test('an alert is JSON with the text first, as Slack shows it, and all its facts', async () => {
  channel = webhookAlerts({ url });
  await channel.send(failed);
  const [{ headers, body } = { headers: {}, body: '' }] = received;
  expect(headers['content-type']).toBe('application/json');
  expect(body.startsWith('{"text":"error job-failed: node web-1\\n')).toBe(true);
  const { text: said, ...facts } = JSON.parse(body);
  expect(facts).toEqual(failed);
  for (const part of ['web-1', 'i-0a1b2c3d4e5f60718', 'j1', failed.whatHappened, failed.whatToDo]) {
    expect(said).toContain(part);
  }
});

test('user and password of the URL are sent as HTTP Basic', async () => {
  const withUser = new URL(url);
  withUser.username = 'alerts';
  withUser.password = 'p@ss';
  channel = webhookAlerts({ url: withUser });
  await channel.send(failed);
  expect(received[0]?.headers['authorization']).toBe(`Basic ${btoa('alerts:p@ss')}`);
});

test.each([
  [500, 'unavailable'],
  [429, 'unavailable'],
  [404, 'rejected'],
  [301, 'rejected'],
])(
  'an answer of %i is a failure, and the URL stays secret whatever the answer repeats',
  async (status, code) => {
    respond = { status, headers: { 'retry-after': '7', location: `http://127.0.0.1:1${SECRET}` } };
    channel = webhookAlerts({ url });
    const error = await channel.send(failed).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code, ...(status === 429 && { retryAfterMs: 7_000 }) });
    expect(inWords(error)).toBe(`the alert webhook answered ${status}`);
    expect(received).toHaveLength(1);
  },
);

test('a webhook that cannot be reached says why, without the URL', async () => {
  const away = new URL(url);
  away.port = String(await freePort());
  channel = webhookAlerts({ url: away });
  const error = await channel.send(failed).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'unavailable' });
  expect(inWords(error)).toBe('the alert webhook could not be reached (ECONNREFUSED)');
});
