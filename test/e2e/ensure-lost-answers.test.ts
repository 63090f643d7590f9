import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { type ChefAclServer, startChefAclServer } from '../support/chef-acl-server.ts';
import { keyPair } from '../support/chef-server.ts';
import { type HttpProxy, startHttpProxy } from '../support/http-proxy.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startTestService, testEnvironment } from '../support/service.ts';

let chefServer: ChefAclServer;
let proxy: HttpProxy;
let redis: RedisServer;
let service: Service;
let api: ApiClient;

beforeAll(async () => {
  // Its POST of a client makes the restore send every call that a restore can need.
  [chefServer, redis] = await Promise.all([startChefAclServer({ forgetsNewKeys: true }), startRedis()]);
  proxy = await startHttpProxy(chefServer.url);
  const env = testEnvironment({
    REDIS_URL: redis.url,
    CHEF_SERVER_URL: new URL(new URL(chefServer.url).pathname, proxy.url).href,
    CHEF_CLIENT_NAME: chefServer.adminName,
    CHEF_CLIENT_KEY: chefServer.adminKey,
  });
  service = await startTestService(env);
  api = apiClient(service.url);
});

afterAll(async () => {
  await service?.close('end of the tests');
  await Promise.all([proxy?.stop(), chefServer?.stop(), redis?.stop()]);
});

const keys = ['default', 'rotated'].map((name, at) => ({
  name,
  public_key: keyPair().publicKey,
  expiration_date: ['infinity', '2099-12-31T23:59:59Z'][at],
}));

/** A host with two keys, whose client may read and save its node. */
async function register(name: string): Promise<void> {
  const clientKeys = keys.map(key => JSON.stringify(key));
  await chefServer.chef.restoreClient(name, { client: '{}', clientKeys });
  const shared = {
    ...chefServer.acl('clients', name),
    read: { actors: [name], groups: ['admins', 'clients'] },
  };
  await chefServer.chef.restoreAcl('clients', name, JSON.stringify(shared));
  await chefServer.chef.createNode({ name, run_list: ['recipe[base]'], normal: { name } });
  await chefServer.chef.allowOwnClient(name);
}

async function whole(name: string): Promise<object> {
  return {
    node: chefServer.nodeText(name),
    keys: await chefServer.chef.getClientKeys(name),
    nodeAcl: chefServer.acl('nodes', name),
    clientAcl: chefServer.acl('clients', name),
  };
}

async function deleted(name: string): Promise<object> {
  await register(name);
  const before = await whole(name);
  await api.finished(await api.event({ kind: 'delete', node: name }));
  expect(await whole(name)).toEqual({});
  return before;
}

/** Restores a node while the n-th change is lost, before or after its effect; the changes that were sent. */
async function restore(name: string, lost?: { nth: number; when: 'request' | 'answer' }): Promise<string[]> {
  const sent: string[] = [];
  proxy.watch = ({ method, path, status }) => {
    if (method === 'GET' || path.includes('/search/')) return;
    if (status === undefined) sent.push(`${method} ${path.replace('/organizations/acme', '')}`);
    const isIt = sent.length === (lost?.nth ?? 0) && (status === undefined) === (lost?.when === 'request');
    if (isIt) throw new Error('lost');
  };
  try {
    await api.finished(await api.event({ kind: 'ensure', node: name }));
  } finally {
    proxy.watch = () => {};
  }
  return sent;
}

test('a restore ends whole, whichever of its changes is lost before or after it took effect', {
  timeout: 180_000,
}, async () => {
  const before = await deleted('web-0');
  const changes = await restore('web-0');
  expect(await whole('web-0')).toEqual(before);
  expect(changes).toEqual([
    'POST /clients',
    'POST /clients/web-0/keys',
    'POST /clients/web-0/keys',
    'PUT /clients/web-0/_acl/read',
    'POST /nodes',
    'PUT /nodes/web-0/_acl/read',
    'PUT /nodes/web-0/_acl/update',
  ]);
  for (const [at, change] of changes.entries()) {
    for (const when of ['request', 'answer'] as const) {
      const name = `${when}-${at + 1}`;
      const saved = await deleted(name);
      const sent = await restore(name, { nth: at + 1, when });
      expect(await whole(name), `the ${when} of ${change} was lost`).toEqual(saved);
      // What took effect is not sent again.
      expect(sent, `the ${when} of ${change} was lost`).toHaveLength(
        changes.length + (when === 'request' ? 1 : 0),
      );
    }
  }
  expect(chefServer.faults).toEqual([]);
});
