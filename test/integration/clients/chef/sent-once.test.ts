import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ChangeOptions, ChefClient } from '../../../../src/clients/chef/client.ts';
import { type ChefAclServer, startChefAclServer } from '../../../support/chef-acl-server.ts';
import { keyPair } from '../../../support/chef-server.ts';
import { type HttpProxy, startHttpProxy } from '../../../support/http-proxy.ts';

/** A Chef server behind a proxy that can lose a request or its answer. */
let server: ChefAclServer;
let proxy: HttpProxy;
let chef: ChefClient;
let name: string;
let count = 0;

beforeAll(async () => {
  server = await startChefAclServer();
  proxy = await startHttpProxy(server.url);
});
beforeEach(async () => {
  name = `web-${++count}`;
  await server.chef.createClient({ name, public_key: keyPair().publicKey });
  await server.chef.createNode({ name, run_list: [] });
  const url = new URL(new URL(server.url).pathname, proxy.url).href;
  chef = new ChefClient({ url, clientName: server.adminName, key: server.adminKey, connections: 1 });
  proxy.requests.length = 0;
});
afterEach(async () => {
  proxy.watch = () => {};
  proxy.mode = 'pass';
  await chef.close();
});
afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
});

/** How often the server's side of the proxy saw a method. */
function sent(method: string): number {
  return proxy.requests.filter(request => request.method === method).length;
}

/** Drops the connection of every request of a method, before it reaches the server or after the server answered. */
function lose(method: string, when: 'request' | 'answer'): void {
  proxy.watch = request => {
    const answered = request.status !== undefined;
    if (request.method === method && answered === (when === 'answer')) throw new Error('lost');
  };
}

type Change = [what: string, method: string, act: (options?: ChangeOptions) => Promise<unknown>];
const CHANGES: Change[] = [
  ['DELETE of a node', 'DELETE', options => chef.deleteNode(name, options)],
  ['DELETE of a client', 'DELETE', options => chef.deleteClient(name, options)],
  ['POST of a node', 'POST', () => chef.createNode({ name: `${name}-new`, run_list: [] })],
  ['POST of a client', 'POST', () => chef.createClient({ name: `${name}-new` })],
  ['PUT of a node', 'PUT', () => chef.updateNode({ name, run_list: ['recipe[new]'] })],
  ['PUT of an ACL', 'PUT', () => chef.allowOwnClient(name)],
];

describe.each(CHANGES)('a %s', (_, method, act) => {
  test.each(['request', 'answer'] as const)('is sent once if its %s is lost', async lost => {
    lose(method, lost);
    await expect(act()).rejects.toMatchObject({ code: 'unavailable' });
    expect(sent(method)).toBe(1);
  });

  test('is sent once to a server that answers 500', async () => {
    proxy.watch = request => {
      proxy.mode = request.method === method ? 'fail' : 'pass';
    };
    await expect(act()).rejects.toMatchObject({ code: 'unavailable' });
    expect(sent(method)).toBe(1);
  });
});

test('a node whose DELETE lost its answer may be another machine’s by then, which is left alone', async () => {
  lose('DELETE', 'answer');
  await expect(chef.deleteNode(name)).rejects.toMatchObject({ code: 'unavailable' });
  expect(await chef.getNode(name)).toBeUndefined();
  await server.chef.createNode({ name, run_list: ['recipe[replacement]'] });
  expect(await chef.getNode(name)).toMatchObject({ run_list: ['recipe[replacement]'] });
  expect(sent('DELETE')).toBe(1);
});

test('reads and searches are sent again', async () => {
  const failed = new Set<string>();
  proxy.watch = ({ method, path }) => {
    if (failed.has(path)) return;
    failed.add(path);
    throw new Error(`the first ${method} is lost`);
  };
  expect(await chef.getNode(name)).toMatchObject({ name });
  expect(await chef.findNodeNames('ec2.instance_id', 'i-00000001')).toEqual([]);
  expect([sent('GET'), sent('POST')]).toEqual([2, 2]);
});

describe('the check before a DELETE is sent', () => {
  const refused = new Error('the lock is lost');
  const refuse = () => {
    throw refused;
  };

  test.each([
    ['node', (options: ChangeOptions) => chef.deleteNode(name, options)],
    ['client', (options: ChangeOptions) => chef.deleteClient(name, options)],
  ])('of a %s stops it with its own error, and nothing is sent', async (_, act) => {
    await expect(act({ beforeSend: refuse })).rejects.toBe(refused);
    expect(proxy.requests).toEqual([]);
    expect(await chef.getNode(name)).toBeDefined();
    expect(await chef.getClient(name)).toBeDefined();
    expect(await act({ beforeSend: () => {} })).toBe('deleted');
  });

  test('is made once, right before it', async () => {
    const order: string[] = [];
    proxy.watch = ({ status }) => void order.push(status === undefined ? 'arrived' : 'answered');
    const beforeSend = () => void order.push('checked');
    expect(await chef.deleteNode(name, { beforeSend })).toBe('deleted');
    expect(order).toEqual(['checked', 'arrived', 'answered']);
  });

  test('is not made while the DELETE waits for a connection, but when it gets one', async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    proxy.watch = ({ method, status }) => {
      if (method !== 'GET' || status !== undefined) return;
      arrive();
      return held;
    };
    // The client has one connection, and this read keeps it busy.
    const reading = chef.getNode(name);
    await arrived;
    let lost = false;
    const deletion = chef.deleteNode(name, {
      beforeSend: () => {
        if (lost) throw refused;
      },
    });
    const outcome = expect(deletion).rejects.toBe(refused);
    // The lock is lost while the DELETE waits in the queue of the connection.
    await new Promise(setImmediate);
    lost = true;
    release();
    await reading;
    await outcome;
    expect(sent('DELETE')).toBe(0);
  });

  test('is not made if no connection can be opened', async () => {
    await proxy.refuse();
    let checks = 0;
    const deletion = chef.deleteNode(name, { beforeSend: () => void checks++ });
    await expect(deletion).rejects.toMatchObject({ code: 'unavailable' });
    await proxy.open();
    expect(checks).toBe(0);
  });
});

describe('the check before each change of a restore', () => {
  const keys = ['default', 'rotated'].map(each => ({
    name: each,
    public_key: keyPair().publicKey,
    expiration_date: 'infinity',
  }));
  const saved = { client: '{}', clientKeys: keys.map(key => JSON.stringify(key)) };
  const everything = { actors: ['admin'], groups: ['admins', 'clients'] };
  const acl = JSON.stringify(
    Object.fromEntries(['create', 'read', 'update', 'delete', 'grant'].map(each => [each, everything])),
  );

  test.each<[what: string, changes: number, act: (options: ChangeOptions) => Promise<unknown>]>([
    ['client with two keys', 2, options => chef.restoreClient(`${name}-new`, saved, options)],
    ['node', 1, options => chef.restoreNode(`${name}-new`, JSON.stringify({ name: `${name}-new` }), options)],
    ['node without an archive', 1, options => chef.createNode({ name: `${name}-new` }, options)],
    ['ACL', 5, options => chef.restoreAcl('nodes', name, acl, options)],
    ['client’s right to save its node', 2, options => chef.allowOwnClient(name, options)],
  ])('of a %s stops the change with its own error', async (_, changes, act) => {
    const refused = new Error('the lock is lost');
    const changed = () => proxy.requests.filter(({ method }) => method !== 'GET').length;
    const attempt = (allowed: number) => {
      let left = allowed;
      return act({
        beforeSend: () => {
          if (left-- === 0) throw refused;
        },
      });
    };
    await expect(attempt(0)).rejects.toBe(refused);
    expect(changed()).toBe(0);
    // What an earlier attempt changed is not sent again.
    for (let done = 1; done < changes; done++) {
      await expect(attempt(1)).rejects.toBe(refused);
      expect(changed()).toBe(done);
    }
    await attempt(1);
    expect(changed()).toBe(changes);
  });
});
