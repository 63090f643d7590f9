import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { contract, documentedRoutes, expectDocumented } from '../support/api/contract.ts';
import { asOperator, queued, startApi } from '../support/api/service-fixture.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { TOKEN } from '../support/service.ts';

let server: RedisServer;
let service: Service;
let url: string;
beforeAll(async () => {
  server = await startRedis();
  service = await startApi(server.url);
  url = service.url;
});
afterAll(async () => {
  await service?.close('end of the tests');
  await server?.stop();
});

const post = (body: string | object, headers: Record<string, string> = {}) =>
  request(url)
    .post('/events')
    .set({ 'content-type': 'application/json', ...asOperator, ...headers })
    .send(body);
const get = (path: string) => request(url).get(path).set(asOperator);

describe('POST /events', () => {
  test('keeps a job that says who asked, and tells where it is', async () => {
    const asked = {
      node: 'web-1',
      instanceId: 'i-0a1b2c3d',
      nagiosHost: 'Web Server 1',
      reason: 'rack fire',
    };
    const response = await post({ kind: 'delete', ...asked }).expect(202);
    expectDocumented('POST /events', response);
    expect(response.headers['location']).toBe(response.body.url);

    const job = await get(response.body.url).expect(200);
    expectDocumented('GET /jobs/{id}', job);
    expect(job.body).toMatchObject({
      id: response.body.jobId,
      kind: 'delete',
      state: 'queued',
      node: 'web-1',
      instanceId: 'i-0a1b2c3d',
      source: 'api',
      requestedBy: 'tests',
      event: { kind: 'request', method: 'delete', ...asked },
      attempts: 0,
      steps: [],
      finishedAt: null,
    });
  });

  test('keeps a restore with its run list and environment', async () => {
    const asked = { node: 'web-2', runList: ['recipe[base]', 'role[web]'], environment: 'prod' };
    const { body } = await post({ kind: 'ensure', ...asked }).expect(202);
    expect((await get(body.url)).body).toMatchObject({ kind: 'ensure', event: asked });
  });

  const good = { kind: 'delete', node: 'web-1' };
  test.each([
    ['body', '{"kind":'],
    ['body', '[]'],
    ['body', 'null'],
    ['body', '"delete"'],
    ['kind', { ...good, kind: 'downtime' }],
    ['kind', { ...good, kind: 'nuke' }],
    ['kind', { node: 'web-1' }],
    ['kind', ''],
    ['node', { kind: 'delete' }],
    ...[
      '..',
      '.',
      'a/../b',
      'a/b',
      'x/_acl',
      'victim/keys/default',
      'a b',
      '',
      'wéb',
      'a\n',
      'a'.repeat(300),
    ].map(node => ['node', { ...good, node }] as [string, object]),
    ['node', { ...good, node: null }],
    ['node', { ...good, node: ['web-1'] }],
    ['instanceId', { ...good, instanceId: 'i-1' }],
    ['nagiosHost', { ...good, nagiosHost: 'a;b' }],
    ['nagiosHost', { ...good, nagiosHost: ' web' }],
    ['runList.0', { kind: 'ensure', node: 'web-1', runList: [''] }],
    ['environment', { kind: 'ensure', node: 'web-1', environment: 'a/b' }],
    ['reason', { ...good, reason: 'x'.repeat(1001) }],
    ['force', { ...good, force: true }],
  ] as [string, string | object][])('refuses by its %s, and queues nothing: %j', async (field, body) => {
    const before = await queued(url);
    const response = await post(body).expect(400);
    expectDocumented('POST /events', response);
    expect(response.type).toBe('application/problem+json');
    expect(response.body).toMatchObject({ status: 400, title: 'Bad Request', field });
    expect(await queued(url)).toEqual(before);
  });

  test('refuses what is not called JSON, and what is too large', async () => {
    const before = await queued(url);
    expect((await post('kind=delete', { 'content-type': 'text/plain' }).expect(400)).body.field).toBe('body');
    await post({ ...good, reason: 'x'.repeat(70_000) }).expect(413);
    expect(await queued(url)).toEqual(before);
  });
});

describe('an Idempotency-Key', () => {
  const keyed = (key: string, body: object) => post(body, { 'idempotency-key': key });

  test('asks for the same job again, whatever the order of its fields', async () => {
    const { body: first } = await keyed('k1', { kind: 'delete', node: 'key-1', reason: 'x' }).expect(202);
    const { body: again } = await keyed('k1', { reason: 'x', node: 'key-1', kind: 'delete' }).expect(202);
    expect(again).toEqual(first);
    expect((await queued(url)).filter(({ node }) => node === 'key-1')).toHaveLength(1);
  });

  test('asked with by twenty at once is one job', async () => {
    const all = await Promise.all(
      Array.from({ length: 20 }, () => keyed('k2', { kind: 'ensure', node: 'key-2' }).expect(202)),
    );
    expect(new Set(all.map(({ body }) => body.jobId)).size).toBe(1);
  });

  test('cannot be used for another request', async () => {
    await keyed('k3', { kind: 'delete', node: 'key-3' }).expect(202);
    const before = await queued(url);
    for (const other of [
      { kind: 'delete', node: 'key-4' },
      { kind: 'ensure', node: 'key-3' },
    ]) {
      const response = await keyed('k3', other).expect(400);
      expectDocumented('POST /events', response);
      expect(response.body.field).toBe('Idempotency-Key');
    }
    expect(await queued(url)).toEqual(before);
  });

  test('is not a key if it is empty or too long', async () => {
    await keyed('', { kind: 'delete', node: 'key-5' }).expect(400);
    await keyed('x'.repeat(201), { kind: 'delete', node: 'key-5' }).expect(400);
  });

  test('is what makes two requests one: without it they are two', async () => {
    const { body: one } = await post({ kind: 'ensure', node: 'key-6' });
    const { body: two } = await post({ kind: 'ensure', node: 'key-6' });
    expect(two.jobId).not.toBe(one.jobId);
  });
});

describe('a guarded route', () => {
  const guarded = documentedRoutes().filter(route => {
    const [method = '', path = ''] = route.split(' ');
    return 'security' in (contract.paths[path]?.[method.toLowerCase()] ?? {});
  });
  const call = (route: string, headers: Record<string, string>) => {
    const [method = '', path = ''] = route.replace(/\{\w+\}/, 'some').split(' ');
    const asked = request(url)[method.toLowerCase() as 'get' | 'post'](path).set(headers);
    return method === 'POST' ? asked.send({ kind: 'delete', node: 'unasked' }) : asked;
  };

  test('is every one but those that must be open', () => {
    const open = documentedRoutes().filter(route => !guarded.includes(route));
    const allowed = [
      'GET /',
      'GET /docs',
      'GET /healthz',
      'GET /metrics',
      'GET /openapi.yaml',
      'GET /readyz',
      'POST /sns',
    ];
    for (const route of open) expect(allowed).toContain(route);
    expect(guarded.length).toBeGreaterThanOrEqual(4);
  });

  test.each(guarded)('answers 401 without a right token: %s', async route => {
    const wrong = [
      '',
      'Bearer',
      'Bearer ',
      'Bearer wrong',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(0, -1)}`,
    ];
    wrong.push(`Basic ${TOKEN}`, TOKEN, `Bearer ${TOKEN} ${TOKEN}`, `Bearer tests:${TOKEN}`);
    for (const authorization of wrong) {
      const response = await call(route, { authorization }).expect(401);
      expectDocumented(route, response);
      expect(response.headers['www-authenticate']).toBe('Bearer');
      expect(JSON.stringify(response.body)).not.toContain(TOKEN);
    }
    expect((await queued(url)).filter(({ node }) => node === 'unasked')).toEqual([]);
  });

  test('is guarded under every name that leads to it', async () => {
    for (const path of ['/JOBS', '/jobs/', '//jobs', '/%6aobs', '/jobs/some/', '/Trigger']) {
      const { status } = await request(url).get(path);
      expect([401, 404], path).toContain(status);
    }
    for (const path of ['/EVENTS', '/events/', '/%65vents']) {
      const { status } = await request(url).post(path).send({ kind: 'delete', node: 'unasked' });
      expect([401, 404], path).toContain(status);
    }
    for (const path of ['/jobs', '/jobs/some', '/trigger']) {
      const { status } = await request(url).head(path);
      expect([401, 404, 405], `HEAD ${path}`).toContain(status);
    }
    expect((await queued(url)).filter(({ node }) => node === 'unasked')).toEqual([]);
  });

  test('where there are no tokens answers nobody', async () => {
    const closed = await startApi(server.url, { API_TOKENS: '' });
    await request(closed.url).get('/jobs').set(asOperator).expect(401);
    await request(closed.url).get('/healthz').expect(200);
    await closed.close('test');
  });
});

describe('GET /jobs', () => {
  test('is newest first, filtered and paged', async () => {
    for (let n = 0; n < 5; n++) await post({ kind: 'ensure', node: 'paged' }).expect(202);
    await post({ kind: 'delete', node: 'paged', instanceId: 'i-00000007' }).expect(202);
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const response = await get('/jobs').query({ node: 'paged', limit: 2, ...(cursor && { cursor }) });
      expectDocumented('GET /jobs', response);
      seen.push(...response.body.jobs.map((job: { id: string }) => job.id));
      if (response.body.next === null) break;
      cursor = response.body.next;
    }
    const all = (await queued(url)).filter(({ node }) => node === 'paged').map(({ id }) => id);
    expect(seen).toHaveLength(6);
    expect(seen).toEqual(all);
    const counts: [string, number][] = [
      ['kind=delete', 1],
      ['kind=ensure&state=queued', 5],
      ['state=done', 0],
      ['instanceId=i-00000007', 1],
    ];
    for (const [query, count] of counts) {
      expect((await get(`/jobs?node=paged&${query}`)).body.jobs, query).toHaveLength(count);
    }
  });

  test.each([
    ['limit', 'limit=0'],
    ['limit', 'limit=501'],
    ['limit', 'limit=ten'],
    ['state', 'state=lost'],
    ['kind', 'kind=nuke'],
    ['node', 'node=a%2Fb'],
    ['node', 'node=a&node=b'],
    ['instanceId', 'instanceId=1'],
    ['cursor', 'cursor=%2Binf'],
    ['colour', 'colour=red'],
  ])('refuses by its %s: ?%s', async (field, query) => {
    const response = await get(`/jobs?${query}`).expect(400);
    expectDocumented('GET /jobs', response);
    expect(response.body.field).toBe(field);
  });
});

test('a job that is not there is 404, as is everything else that is not there', async () => {
  const response = await get('/jobs/nobody').expect(404);
  expectDocumented('GET /jobs/{id}', response);
  expect(response.body.detail).toContain('nobody');
  const nowhere = await get('/nowhere').expect(404);
  expect(nowhere.type).toBe('application/problem+json');
  for (const method of ['put', 'patch', 'delete'] as const) {
    expect([404, 405]).toContain((await request(url)[method]('/jobs').set(asOperator)).status);
  }
  const malformed = await get('/jobs/%E0%A4%A').expect(400);
  expect(malformed.body).not.toHaveProperty('field');
});

test('every answer carries an id that the log has, and may not be cached or sniffed', async () => {
  for (const path of ['/healthz', '/nowhere', '/jobs']) {
    const { headers, body } = await request(url).get(path);
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    if (body.requestId) expect(body.requestId).toBe(headers['x-request-id']);
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(headers).not.toHaveProperty('x-powered-by');
  }
});

test('GET /trigger tells how the chef-client run stands', async () => {
  const response = await get('/trigger').expect(200);
  expectDocumented('GET /trigger', response);
  expect(response.body).toEqual({ state: 'idle', pendingDeletes: 0, lastRun: null });
});

test('GET /openapi.yaml is the contract itself', async () => {
  const { text, type } = await request(url).get('/openapi.yaml').expect(200).buffer(true);
  expect(type).toBe('application/yaml');
  expect(text).toMatch(/^openapi: 3\.1/);
});
