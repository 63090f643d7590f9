import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { openFileArchive } from '../../src/clients/archive/file/archive.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { keyPair } from '../support/chef-server.ts';
import { freshDirectory } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startTestService, TOKEN, testEnvironment } from '../support/service.ts';

interface Page {
  archives: { id: string; node: string; chef?: object }[];
  next: string | null;
}

const NODE = '{"name":"web-1","normal":{"2":9007199254740993,"1":1.0,"ü":"\\u00fc"}}';
let redis: RedisServer;
let service: Service;
let api: ApiClient;
let ids: string[];

beforeAll(async () => {
  redis = await startRedis();
  const directory = freshDirectory('archives');
  const archive = openFileArchive(directory);
  ids = [];
  for (const node of ['web-1', 'web-2', 'web-1']) {
    const id = await archive.save({
      node,
      instanceId: 'i-0a1b2c3d4e5f60718',
      job: 'j1',
      event: { kind: 'request', method: 'delete', node },
      requestedBy: 'alice',
      chef: {
        node: NODE,
        client: '{"name":"web-1"}',
        clientKeys: ['{"name":"default"}'],
        nodeAcl: '{"read":{}}',
      },
    });
    ids.unshift(id);
  }
  service = await startTestService(
    testEnvironment({
      ROLES: 'api',
      REDIS_URL: redis.url,
      ARCHIVE_URL: `file://${directory}`,
      CHEF_SERVER_URL: 'http://127.0.0.1:9',
      CHEF_CLIENT_NAME: 'nobody',
      CHEF_CLIENT_KEY: keyPair().privateKey,
    }),
  );
  api = apiClient(service.url);
});
afterAll(async () => {
  await service?.close('end of the tests');
  await redis?.stop();
});

async function page(query: string): Promise<Page> {
  const { status, body } = await api.request('GET', `/archives${query}`);
  expect(status).toBe(200);
  return body as Page;
}

describe('GET /archives', () => {
  test('lists what was saved, newest first, of all or of one node, without its content', async () => {
    const { archives, next } = await page('');
    expect(archives.map(({ id }) => id)).toEqual(ids.toSorted().reverse());
    expect(next).toBeNull();
    expect(archives[0]).not.toHaveProperty('chef');
    expect((await page('?node=web-2')).archives).toEqual([
      expect.objectContaining({
        node: 'web-2',
        instanceId: 'i-0a1b2c3d4e5f60718',
        job: 'j1',
        requestedBy: 'alice',
      }),
    ]);
    expect((await page('?node=never-seen')).archives).toEqual([]);
  });

  test('gives pages that follow each other', async () => {
    const first = await page('?limit=2');
    const second = await page(`?limit=2&cursor=${first.next}`);
    expect([...first.archives, ...second.archives].map(({ id }) => id)).toEqual(ids.toSorted().reverse());
    expect(second.next).toBeNull();
  });

  test.each(['?node=..', '?node=a%2Fb', '?limit=0', '?limit=501', '?cursor=x', '?what=1'])(
    'refuses %s',
    async query => {
      expect(await api.request('GET', `/archives${query}`)).toMatchObject({ status: 400 });
    },
  );
});

describe('GET /archives/{id}', () => {
  test('shows all that was saved, and Chef’s own JSON number for number', async () => {
    const [{ id } = { id: '' }] = (await page('?node=web-1')).archives;
    const { status, body } = await api.request('GET', `/archives/${id}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id,
      node: 'web-1',
      event: { method: 'delete' },
      chef: {
        node: { name: 'web-1' },
        client: { name: 'web-1' },
        clientKeys: [{ name: 'default' }],
        nodeAcl: { read: {} },
      },
    });

    const headers = { authorization: `Bearer ${TOKEN}` };
    const answer = await (await fetch(`${service.url}/archives/${id}`, { headers })).text();
    expect(answer).toContain(`"node":${NODE}`);
  });

  test.each(['20260302T101542661Z-0123456789abcdef0123456789abcdef', '..%2F..%2Fetc%2Fpasswd', 'x'])(
    'answers 404 for %s',
    async id => {
      expect(await api.request('GET', `/archives/${id}`)).toMatchObject({ status: 404 });
    },
  );
});

test('both need a token', async () => {
  for (const path of ['/archives', `/archives/${ids[0]}`]) {
    expect((await fetch(service.url + path)).status).toBe(401);
  }
});
