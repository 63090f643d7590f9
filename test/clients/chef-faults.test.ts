import { createHash, verify } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChefClient } from '../../src/clients/chef.ts';
import { keyPair } from '../parts/chef-server.ts';

// What goiardi cannot do: organizations, keys of their own kind, pages of a search, and every way a server can fail.
// The stand-in answers only what it expects to be asked, and only where the signature holds.

interface Exchange {
  method: string;
  path: string;
  body?: unknown;
  status?: number;
  /** Sent as JSON, but for a string. */
  answer?: unknown;
  headers?: Record<string, string>;
  /** Instead of an answer. */
  act?: (response: ServerResponse) => void;
}

const { publicKey, privateKey } = keyPair();
const sockets = new Set<Socket>();
let expected: Exchange[] = [];
let faults: string[] = [];
let url = '';
let chef: ChefClient;

const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  const asked = `${request.method} ${request.url}`;
  const index = expected.findIndex(({ method, path }) => asked === `${method} /organizations/acme${path}`);
  const [exchange] = index < 0 ? [] : expected.splice(index, 1);
  if (!exchange) faults.push(`not expected: ${asked}`);
  if (!signatureHolds(request, body)) faults.push(`wrong signature: ${asked}`);
  if (exchange?.body !== undefined) expect.soft(JSON.parse(body)).toEqual(exchange.body);
  if (exchange?.act) return exchange.act(response);
  const text =
    typeof exchange?.answer === 'string' ? exchange.answer : JSON.stringify(exchange?.answer ?? {});
  response.writeHead(exchange?.status ?? (exchange ? 200 : 400), exchange?.headers).end(text);
});
server.on('connection', socket => sockets.add(socket.once('close', () => sockets.delete(socket))));

/** Checked by the text of the protocol, not by the code that signs. */
function signatureHolds({ method, url = '', headers }: IncomingMessage, body: string): boolean {
  const hash = createHash('sha256').update(body).digest('base64');
  const text =
    `Method:${method}\nPath:${url.split('?')[0]}\nX-Ops-Content-Hash:${hash}\nX-Ops-Sign:version=1.3\n` +
    `X-Ops-Timestamp:${headers['x-ops-timestamp']}\nX-Ops-UserId:dereg\n` +
    `X-Ops-Server-API-Version:${headers['x-ops-server-api-version']}`;
  const lines = [1, 2, 3, 4, 5, 6].map(n => headers[`x-ops-authorization-${n}`] ?? '');
  return verify('sha256', Buffer.from(text), publicKey, Buffer.from(lines.join(''), 'base64'));
}

function willAnswer(...exchanges: Exchange[]): void {
  expected.push(...exchanges);
}

function open(options: { timeoutMs?: number; connections?: number } = {}): ChefClient {
  return new ChefClient({ url, clientName: 'dereg', key: privateKey, ...options });
}

beforeAll(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/organizations/acme/`;
});
beforeEach(() => {
  chef = open();
});
afterEach(async () => {
  await chef.close();
  const left = expected;
  const wrong = faults;
  expected = [];
  faults = [];
  expect(wrong).toEqual([]);
  expect(left).toEqual([]);
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const node = { method: 'GET', path: '/nodes/web-1' };

describe('a 404', () => {
  test.each([["node 'web-1' not found"], ['Object not found: /organizations/acme/nodes/web-1']])(
    "in Chef's words (%s) means absent",
    async message => {
      willAnswer({ ...node, status: 404, answer: { error: [message] } });
      expect(await chef.getNode('web-1')).toBeUndefined();
    },
  );

  test.each(['o', 'organization'])('for a node that is called %s means absent', async name => {
    const answer = { error: [`node '${name}' not found`] };
    willAnswer({ method: 'DELETE', path: `/nodes/${name}`, status: 404, answer });
    expect(await chef.deleteNode(name)).toBe('absent');
  });

  test.each([
    ['an HTML page', '<html>Not Found</html>'],
    ['nothing', ''],
    ['JSON of another kind of server', { error: 'Not Found', status: 404 }],
    ['JSON without an error', { message: 'no' }],
    ['an empty list', { error: [] }],
    ['a missing organization', { error: ["organization 'acme' does not exist."] }],
  ])('that is %s is a fault', async (_, answer) => {
    for (const method of ['GET', 'DELETE']) willAnswer({ method, path: '/nodes/web-1', status: 404, answer });
    const fault = { code: 'rejected', message: expect.stringContaining('CHEF_SERVER_URL') };
    await expect(chef.getNode('web-1')).rejects.toMatchObject(fault);
    await expect(chef.deleteNode('web-1')).rejects.toMatchObject(fault);
  });
});

describe('an answer that is no answer to the question', () => {
  test.each([
    ['HTML', '<html>Log in</html>'],
    ['empty', ''],
    ['about another node', { name: 'web-2' }],
    ['without a name', {}],
    ['a list', [{ name: 'web-1' }]],
    ['null', null],
  ])('is a fault where it is %s', async (_, answer) => {
    const exchange = { path: '/nodes/web-1', answer: answer === null ? 'null' : answer };
    for (const method of ['GET', 'DELETE', 'PUT']) willAnswer({ method, ...exchange });
    for (const call of [
      chef.getNode('web-1'),
      chef.deleteNode('web-1'),
      chef.updateNode({ name: 'web-1' }),
    ]) {
      await expect(call).rejects.toMatchObject({ code: 'rejected' });
    }
  });

  test('is a fault where it leads elsewhere', async () => {
    willAnswer({ ...node, status: 302, headers: { Location: '/login' } });
    await expect(chef.getNode('web-1')).rejects.toMatchObject({ code: 'rejected' });
  });
});

describe('a refusal', () => {
  test.each([
    [
      403,
      { error: ['missing read permission'] },
      'permission',
      /lacks READ on nodes\/web-1;.* nodes web-1 read$/,
    ],
    [409, { error: ['exists'] }, 'conflict', /409 \(exists\)/],
    [413, 'Content-length too long!', 'too-large', /413 \(Content-length too long!\)/],
    [
      400,
      { error: ['bad'] },
      'rejected',
      /GET http.*\/organizations\/acme\/nodes\/web-1 answered 400 \(bad\)/,
    ],
  ])('with %i is told', async (status, answer, code, message) => {
    willAnswer({ ...node, status, answer });
    await expect(chef.getNode('web-1')).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  test('to create is one of the container', async () => {
    willAnswer({ method: 'POST', path: '/nodes', status: 403, answer: { error: ['no'] } });
    const message = expect.stringContaining('knife acl add client dereg containers nodes create');
    await expect(chef.createNode({ name: 'web-1' })).rejects.toMatchObject({ code: 'permission', message });
  });

  test('to believe us without a Date leaves both causes open', async () => {
    const act = (response: ServerResponse) => {
      response.sendDate = false;
      response.writeHead(401).end('{"error":["no"]}');
    };
    willAnswer({ ...node, act });
    const message = expect.stringMatching(/key is not that of Chef client dereg.*, or this host's clock/);
    await expect(chef.getNode('web-1')).rejects.toMatchObject({ code: 'credentials', message });
  });
});

describe('a server in trouble', () => {
  const drop = (response: ServerResponse) => void response.socket?.destroy();

  test.each([
    ['429', { status: 429 }],
    ['500', { status: 500 }],
    ['503', { status: 503, headers: { 'Retry-After': '0' } }],
    ['a connection reset', { act: drop }],
  ])('is asked again after %s, with a new signature', async (_, trouble) => {
    willAnswer({ ...node, ...trouble }, { ...node, ...trouble }, { ...node, answer: { name: 'web-1' } });
    expect(await chef.getNode('web-1')).toEqual({ name: 'web-1' });
  });

  test('that deleted and then dropped the connection has deleted', async () => {
    const web = { method: 'DELETE', path: '/clients/web-1' };
    willAnswer({ ...web, act: drop }, { ...web, status: 404, answer: { error: ['Client web-1 not found'] } });
    expect(await chef.deleteClient('web-1')).toBe('absent');
  });

  test('is given up on after three attempts, with its Retry-After', async () => {
    const busy = { ...node, status: 503 };
    willAnswer(busy, busy, { ...busy, headers: { 'Retry-After': '60' } });
    await expect(chef.getNode('web-1')).rejects.toMatchObject({ code: 'unavailable', retryAfterMs: 60_000 });
  });

  test('is asked to create only once', async () => {
    willAnswer(
      { method: 'POST', path: '/clients', status: 500 },
      { method: 'POST', path: '/nodes', act: drop },
    );
    await expect(chef.createClient({ name: 'web-1' })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(chef.createNode({ name: 'web-1' })).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('that hangs is not waited for', async () => {
    const hang = { ...node, act: () => {} };
    const hasty = open({ timeoutMs: 50 });
    willAnswer(hang, hang, hang);
    const message = expect.stringContaining('no answer within 50 ms');
    await expect(hasty.getNode('web-1')).rejects.toMatchObject({ code: 'unavailable', message });
    await hasty.close();
  });

  test('that sends more than 16 MB is not listened to', async () => {
    const large = { ...node, answer: { name: 'web-1', normal: 'x'.repeat(17 << 20) } };
    willAnswer(large, large, large);
    await expect(chef.getNode('web-1')).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('the keys of a client', () => {
  const keys = { method: 'GET', path: '/clients/web-1/keys' };

  test('are fetched one by one, and one that vanishes meanwhile is left out', async () => {
    const rotated = { name: 'rotated', public_key: publicKey, expiration_date: '2027-01-01T00:00:00Z' };
    const list = ['default', 'rotated'].map(name => ({ uri: 'https://elsewhere', name, expired: false }));
    willAnswer(
      { ...keys, answer: list },
      { ...keys, path: `${keys.path}/default`, status: 404, answer: { error: ['no key default'] } },
      { ...keys, path: `${keys.path}/rotated`, answer: rotated },
    );
    expect(await chef.getClientKeys('web-1')).toEqual([rotated]);
  });

  test.each([
    ['a name that leads elsewhere', [{ name: '../../victim' }], 'invalid'],
    ['no names', [1], 'invalid'],
    ['another client', { name: 'web-2', public_key: publicKey }, 'rejected'],
    ['a client without a key', { name: 'web-1' }, 'rejected'],
  ])('with %s are a fault', async (_, answer, code) => {
    willAnswer({ ...keys, answer });
    await expect(chef.getClientKeys('web-1')).rejects.toMatchObject({ code });
  });
});

describe('a snapshot', () => {
  const absent = { status: 404, answer: { error: ['not found'] } };
  const get = (path: string, answer: unknown) => ({ method: 'GET', path, answer });
  const acl = { create: {}, read: { actors: ['web-1'], groups: [] } };

  test('has the text of everything, and numbers as the server wrote them', async () => {
    const text = '{"name": "web-1", "normal": {"1": 12345678901234567890, "0": 1.0}}';
    willAnswer(
      get('/nodes/web-1', text),
      get('/clients/web-1', { name: 'web-1' }),
      get('/clients/web-1/keys', [{ name: 'default' }]),
      get('/clients/web-1/keys/default', { name: 'default' }),
      get('/nodes/web-1/_acl', acl),
      { ...get('/clients/web-1/_acl', { error: ['missing grant permission'] }), status: 403 },
    );
    expect(await chef.snapshot('web-1')).toEqual({
      node: text,
      client: '{"name":"web-1"}',
      clientKeys: ['{"name":"default"}'],
      nodeAcl: JSON.stringify(acl),
      clientAcl: undefined,
    });
  });

  test('without the keys that the server should have told is refused', async () => {
    willAnswer(
      get('/nodes/web-1', { name: 'web-1' }),
      get('/clients/web-1', { name: 'web-1' }),
      get('/clients/web-1/keys', {}),
      get('/nodes/web-1/_acl', acl),
      get('/clients/web-1/_acl', acl),
    );
    await expect(chef.snapshot('web-1')).rejects.toMatchObject({ code: 'rejected' });
    await expect.poll(() => expected).toEqual([]);
  });

  test('of nothing is empty', async () => {
    const paths = [
      '/nodes/web-1',
      '/clients/web-1',
      '/clients/web-1/keys',
      '/nodes/web-1/_acl',
      '/clients/web-1/_acl',
    ];
    willAnswer(...paths.map(path => ({ method: 'GET', path, ...absent })));
    expect(await chef.snapshot('web-1')).toEqual({ node: null, client: null, clientKeys: [] });
  });
});

describe('a search', () => {
  const page = (start: number) => ({
    method: 'POST',
    path: `/search/node?q=ec2_instance_id%3Ai-00000001&start=${start}&rows=1000`,
    body: { name: ['name'] },
  });
  const rows = (from: number, count: number) =>
    Array.from({ length: count }, (_, n) => ({
      url: 'https://elsewhere',
      data: { name: `web-${from + n}` },
    }));

  test('is read page by page to the end', async () => {
    willAnswer(
      { ...page(0), answer: { total: 2001, start: 0, rows: rows(0, 1000) } },
      // Nodes deleted since the index saw them are left out of a page.
      { ...page(1000), answer: { total: 2001, start: 1000, rows: rows(1000, 998) } },
      { ...page(2000), answer: { total: 2001, start: 2000, rows: rows(2000, 1) } },
    );
    const names = await chef.findNodeNames('ec2.instance_id', 'i-00000001');
    expect(names).toHaveLength(1999);
    expect(names.at(-1)).toBe('web-2000');
  });

  test('ends where a page is empty, whatever the total says', async () => {
    willAnswer({ ...page(0), answer: { total: 5000, start: 0, rows: [] } });
    expect(await chef.findNodeNames('ec2.instance_id', 'i-00000001')).toEqual([]);
  });

  test('is asked again after a failure, and a name that can be none is left out', async () => {
    const odd = [{ data: { name: '../x' } }, { data: null }, { data: { name: null } }, ...rows(1, 1)];
    willAnswer({ ...page(0), status: 502 }, { ...page(0), answer: { total: 4, rows: odd } });
    expect(await chef.findNodeNames('ec2.instance_id', 'i-00000001')).toEqual(['web-1']);
  });

  test.each([{}, { rows: [] }, { rows: {}, total: 1 }])('answered with %j is a fault', async answer => {
    willAnswer({ ...page(0), answer });
    const found = chef.findNodeNames('ec2.instance_id', 'i-00000001');
    await expect(found).rejects.toMatchObject({ code: 'rejected' });
  });
});

describe('the health check', () => {
  const environment = { method: 'GET', path: '/environments/_default' };

  test('passes where the server believes us, even if it allows nothing', async () => {
    willAnswer({ ...environment, answer: { name: '_default' } });
    await chef.probe();
    willAnswer({ ...environment, status: 403, answer: { error: ['missing read permission'] } });
    await chef.probe();
  });

  test.each([
    [401, 'credentials'],
    [404, 'rejected'],
    [503, 'unavailable'],
  ])('fails on %i, after one request', async (status, code) => {
    willAnswer({ ...environment, status, answer: { error: ['no'] } });
    await expect(chef.probe()).rejects.toMatchObject({ code });
  });

  test('does not wait behind the other calls', async () => {
    const held: ServerResponse[] = [];
    const narrow = open({ connections: 1 });
    willAnswer(
      { ...node, act: response => held.push(response) },
      { ...environment, answer: { name: '_default' } },
    );
    const waiting = narrow.getNode('web-1');
    await narrow.probe();
    await expect.poll(() => held.length).toBe(1);
    held[0]?.end('{"name":"web-1"}');
    await waiting;
    await narrow.close();
  });
});

test('connections are reused: 40 calls at once over as many as were allowed, 40 more over the same', async () => {
  await expect.poll(() => sockets.size).toBe(0);
  const pool = open({ connections: 4 });
  for (let round = 0; round < 2; round++) {
    const calls = Array.from({ length: 40 }, (_, n) => {
      willAnswer({ method: 'GET', path: `/nodes/web-${n}`, answer: { name: `web-${n}` } });
      return pool.getNode(`web-${n}`);
    });
    await Promise.all(calls);
  }
  const opened = sockets.size;
  await pool.close();
  expect(opened).toBe(4);
});
