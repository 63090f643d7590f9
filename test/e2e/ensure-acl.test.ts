import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { ChefClient } from '../../src/clients/chef/client.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { type ChefAclServer, startChefAclServer } from '../support/chef-acl-server.ts';
import { keyPair } from '../support/chef-server.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startTestService, testEnvironment } from '../support/service.ts';

let chefServer: ChefAclServer;
let redis: RedisServer;
let service: Service;
let api: ApiClient;

beforeAll(async () => {
  [chefServer, redis] = await Promise.all([startChefAclServer(), startRedis()]);
  const env = testEnvironment({
    REDIS_URL: redis.url,
    CHEF_SERVER_URL: chefServer.url,
    CHEF_CLIENT_NAME: chefServer.adminName,
    CHEF_CLIENT_KEY: chefServer.adminKey,
  });
  service = await startTestService(env);
  api = apiClient(service.url);
});

afterAll(async () => {
  await service?.close('end of the tests');
  await Promise.all([chefServer?.stop(), redis?.stop()]);
});

interface Host {
  name: string;
  text: string;
  keys: { name: string; privateKey: string }[];
}

/** Registers as chef-client does: its own client makes the node, and so may save it. Later its key was rotated once. */
async function register(name: string): Promise<Host> {
  const [first, second] = [keyPair(), keyPair()];
  const keys = [
    { name: 'default', public_key: first.publicKey, expiration_date: 'infinity' },
    { name: 'rotated', public_key: second.publicKey, expiration_date: '2099-12-31T23:59:59Z' },
  ];
  const clientKeys = keys.map(key => JSON.stringify(key));
  await chefServer.chef.restoreClient(name, { client: '{}', clientKeys });
  // Nobody but its maker and the administrators has these without it.
  const acl = { ...chefServer.acl('clients', name), read: { actors: [name], groups: ['admins', 'clients'] } };
  await chefServer.chef.restoreAcl('clients', name, JSON.stringify(acl));
  const text = `{"name":"${name}","policy_name":"web","policy_group":"prod","normal":{"2":9007199254740993,"1":1.0,"ü":"\\u00fc"}}`;
  await as(name, first.privateKey, host => host.restoreNode(name, text));
  return {
    name,
    text,
    keys: [
      { name: 'default', ...first },
      { name: 'rotated', ...second },
    ],
  };
}

async function as<T>(clientName: string, key: string, act: (host: ChefClient) => Promise<T>): Promise<T> {
  const host = new ChefClient({ url: chefServer.url, clientName, key });
  try {
    return await act(host);
  } finally {
    await host.close();
  }
}

function rights(name: string) {
  return { node: chefServer.acl('nodes', name), client: chefServer.acl('clients', name) };
}

test('a restored node has its text, its keys and its ACLs, and each old private key saves it again', async () => {
  const { name, text, keys } = await register('web-1');
  const [before, publicKeys] = [rights(name), await chefServer.chef.getClientKeys(name)];
  await api.finished(await api.event({ kind: 'delete', node: name }));
  expect(rights(name)).toEqual({ node: undefined, client: undefined });

  await api.finished(await api.event({ kind: 'ensure', node: name }));
  expect(chefServer.nodeText(name)).toBe(text);
  expect(await chefServer.chef.getClientKeys(name)).toEqual(publicKeys);
  expect(rights(name)).toEqual(before);
  for (const { name: key, privateKey } of keys) {
    const saved = { name, run_list: [`recipe[${key}]`] };
    expect(await as(name, privateKey, host => host.updateNode(saved))).toBe('updated');
    expect(await chefServer.chef.getNode(name)).toEqual(saved);
  }
  expect(chefServer.faults).toEqual([]);
});

test('a node without an archived ACL is its client’s to save as well', async () => {
  const name = 'described';
  const { publicKey, privateKey } = keyPair();
  await chefServer.chef.createClient({ name, public_key: publicKey });
  await api.finished(await api.event({ kind: 'ensure', node: name, runList: ['recipe[base]'] }));
  const saved = { name, run_list: ['recipe[saved]'] };
  expect(await as(name, privateKey, host => host.updateNode(saved))).toBe('updated');
  expect(chefServer.acl('nodes', name)?.delete.actors).toEqual([chefServer.adminName]);
});

test('a restore that stopped before the ACL goes on from there', async () => {
  const { name, text, keys } = await register('web-2');
  const before = rights(name);
  await api.finished(await api.event({ kind: 'delete', node: name }));
  const refused = chefServer.refuse(`PUT /nodes/${name}/_acl/read`);
  const id = await api.event({ kind: 'ensure', node: name });
  const job = await api.finished(id, 'failed');
  expect(job.error).toMatchObject({ code: 'permission' });
  expect(chefServer.nodeText(name)).toBe(text);
  refused.end();
  await api.request('POST', `/jobs/${id}/retry`);
  await api.finished(id);
  expect(rights(name)).toEqual(before);
  const [first] = keys;
  expect(await as(name, first?.privateKey ?? '', host => host.updateNode({ name }))).toBe('updated');
});

test('a node whose client had no key is restored, and the job says that the host must be bootstrapped', async () => {
  const name = 'keyless';
  await chefServer.chef.createClient({ name });
  const text = `{"name":"${name}","run_list":["recipe[base]"]}`;
  await chefServer.chef.restoreNode(name, text);
  await chefServer.chef.allowOwnClient(name);
  await api.finished(await api.event({ kind: 'delete', node: name }));

  const job = await api.finished(await api.event({ kind: 'ensure', node: name }));
  expect(chefServer.nodeText(name)).toBe(text);
  expect(await chefServer.chef.getClient(name)).toBeUndefined();
  expect(chefServer.acl('nodes', name)?.update).toEqual({
    actors: [chefServer.adminName],
    groups: ['admins'],
  });
  const note = (step: string) => job.steps.find(each => each.name === step);
  const advice = expect.stringContaining(`knife bootstrap ADDRESS -N ${name}`);
  expect(note('recreate-client')).toMatchObject({ state: 'skipped', note: advice });
  expect(note('recreate-node')).toMatchObject({ state: 'done', note: advice });
  expect(chefServer.faults).toEqual([]);
});

test('a client that is left without any key gets its keys back, though node and client are there', async () => {
  const { name, keys } = await register('web-3');
  const publicKeys = await chefServer.chef.getClientKeys(name);
  await api.finished(await api.event({ kind: 'delete', node: name }));
  await chefServer.chef.createClient({ name });
  await chefServer.chef.createNode({ name, run_list: [] });
  await api.finished(await api.event({ kind: 'ensure', node: name }));
  expect(await chefServer.chef.getClientKeys(name)).toEqual(publicKeys);
  expect(await as(name, keys[1]?.privateKey ?? '', host => host.updateNode({ name }))).toBe('updated');
});
