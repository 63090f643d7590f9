import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ChefClient } from '../../../../src/clients/chef/client.ts';
import { type ChefAclServer, startChefAclServer } from '../../../support/chef-acl-server.ts';
import { keyPair } from '../../../support/chef-server.ts';
import { useChefStandIn } from '../../../support/clients/chef-fixture.ts';

let server: ChefAclServer;
let count = 0;
let name: string;

const expired = { ...keyPair(), name: 'expired', expiration_date: '2020-01-01T00:00:00Z' };
const rotated = { ...keyPair(), name: 'rotated', expiration_date: '2099-01-01T00:00:00Z' };
const first = keyPair();

beforeAll(async () => {
  server = await startChefAclServer();
});
beforeEach(() => {
  name = `web-${++count}`;
});
afterEach(() => {
  expect(server.faults.splice(0)).toEqual([]);
});
afterAll(() => server?.stop());

function signedInAs(clientName: string, key: string): ChefClient {
  return new ChefClient({ url: server.url, clientName, key });
}

async function canSave(key: string): Promise<boolean> {
  const host = signedInAs(name, key);
  try {
    return (await host.updateNode({ name, run_list: ['recipe[saved]'] })) === 'updated';
  } catch {
    return false;
  } finally {
    await host.close();
  }
}

/** A host whose client made its node itself, with two further keys. */
async function register(): Promise<void> {
  await server.chef.createClient({ name, public_key: first.publicKey });
  const saved = { client: '{}', clientKeys: [first, expired, rotated].map(asSaved) };
  await server.chef.restoreClient(name, saved);
  const host = signedInAs(name, first.privateKey);
  await host.createNode({ name, run_list: ['recipe[base]'] });
  await host.close();
}

function asSaved(key: { publicKey: string; name?: string; expiration_date?: string }): string {
  const { publicKey: public_key, name = 'default', expiration_date = 'infinity' } = key;
  return JSON.stringify({ name, public_key, expiration_date });
}

async function remove() {
  const snapshot = await server.chef.snapshot(name);
  await server.chef.deleteClient(name);
  await server.chef.deleteNode(name);
  const { node, client, nodeAcl } = snapshot;
  if (node === null || client === null || !nodeAcl) throw new Error('the snapshot is not whole');
  return { ...snapshot, node, client, nodeAcl };
}

describe('a client', () => {
  test('gets all its keys back, each with its date, and the old private keys work but for the expired one', async () => {
    await register();
    const before = await server.chef.getClientKeys(name);
    const saved = await remove();
    await server.chef.restoreClient(name, saved);
    const sorted = (keys: typeof before) => keys?.toSorted((a, b) => a.name.localeCompare(b.name));
    expect(sorted(await server.chef.getClientKeys(name))).toEqual(sorted(before));
    await server.chef.restoreNode(name, saved.node);
    await server.chef.restoreAcl('nodes', name, saved.nodeAcl);
    expect(await canSave(first.privateKey)).toBe(true);
    expect(await canSave(rotated.privateKey)).toBe(true);
    expect(await canSave(expired.privateKey)).toBe(false);
  });

  test('whose default key expires never has one that does not', async () => {
    const keys = [{ ...first, expiration_date: '2099-01-01T00:00:00Z' }, rotated].map(asSaved);
    await server.chef.restoreClient(name, { client: '{}', clientKeys: keys });
    expect((await server.chef.getClientKeys(name))?.map(key => key.expiration_date)).toEqual([
      '2099-01-01T00:00:00Z',
      '2099-01-01T00:00:00Z',
    ]);
  });

  test('that an attempt before made by half is completed, and one that is whole is left as it is', async () => {
    const saved = { client: '{}', clientKeys: [first, rotated].map(asSaved) };
    await server.chef.createClient({ name, public_key: first.publicKey });
    await server.chef.restoreClient(name, saved);
    server.requests.length = 0;
    await server.chef.restoreClient(name, saved);
    expect(server.requests.filter(asked => asked.startsWith('POST'))).toEqual([]);
    expect((await server.chef.getClientKeys(name))?.map(key => key.name)).toEqual(['default', 'rotated']);
  });

  test('of the same name with another key is left alone', async () => {
    await server.chef.createClient({ name, public_key: rotated.publicKey });
    const saved = { client: '{}', clientKeys: [asSaved(first)] };
    await expect(server.chef.restoreClient(name, saved)).rejects.toMatchObject({ code: 'other-key' });
    expect(await server.chef.hasKeyOf(name, saved)).toBe(false);
    expect(await server.chef.getClientKeys(name)).toMatchObject([{ public_key: rotated.publicKey }]);
  });

  test('without a saved key is not made: nobody could use it', async () => {
    const saved = { client: JSON.stringify({ name }), clientKeys: [] };
    expect(await server.chef.restoreClient(name, saved)).toBe('no-key');
    expect(await server.chef.getClient(name)).toBeUndefined();
  });

  test('that has no key at all gets the saved ones', async () => {
    await server.chef.createClient({ name });
    const saved = { client: '{}', clientKeys: [first, rotated].map(asSaved) };
    expect(await server.chef.restoreClient(name, saved)).toBe('restored');
    expect((await server.chef.getClientKeys(name))?.map(key => key.name)).toEqual(['default', 'rotated']);
  });

  test('that has a saved key under another name, or with another date, ends up with what was saved', async () => {
    const keys = [first, rotated].map(asSaved);
    const swapped = [
      { ...first, name: 'rotated', expiration_date: '2099-01-01T00:00:00Z' },
      { ...rotated, name: 'default', expiration_date: 'infinity' },
    ];
    await server.chef.restoreClient(name, { client: '{}', clientKeys: swapped.map(asSaved) });
    await server.chef.restoreClient(name, { client: '{}', clientKeys: keys });
    const shown = await server.chef.getClientKeys(name);
    expect(shown?.map(key => JSON.stringify(key)).toSorted()).toEqual(keys.toSorted());
  });
});

describe('a server that answers 201 to a client and forgets its key', () => {
  let forgetful: ChefAclServer;
  beforeAll(async () => {
    forgetful = await startChefAclServer({ forgetsNewKeys: true });
  });
  afterAll(() => forgetful?.stop());

  test('has the key in the end', async () => {
    const saved = { client: '{}', clientKeys: [first, rotated].map(asSaved) };
    expect(await forgetful.chef.restoreClient(name, saved)).toBe('restored');
    expect(await forgetful.chef.getClientKeys(name)).toEqual(
      [first, rotated].map(key => JSON.parse(asSaved(key))),
    );
    expect(forgetful.faults).toEqual([]);
  });
});

describe('a server that takes keys and does not show them', () => {
  const fixture = useChefStandIn();

  test('has not restored the client', async () => {
    const keys = { path: '/clients/web-1/keys' };
    fixture.willAnswer(
      { method: 'GET', ...keys, status: 404, answer: { error: ['Cannot load client web-1'] } },
      { method: 'POST', path: '/clients', status: 201, answer: { uri: 'web-1' } },
      { method: 'GET', ...keys, answer: [] },
      { method: 'POST', ...keys, status: 201, answer: { uri: 'default' } },
      { method: 'GET', ...keys, answer: [] },
    );
    const restored = fixture.chef.restoreClient('web-1', { client: '{}', clientKeys: [asSaved(first)] });
    await expect(restored).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('does not show default'),
    });
  });
});

describe('a node', () => {
  test('comes back byte for byte', async () => {
    const text = `{"name":"${name}","normal":{"2":9007199254740993,"1":1.0,"ü":"\\u00fc"},"policy_name":"web"}`;
    await server.chef.restoreNode(name, text);
    expect(server.nodeText(name)).toBe(text);
    await expect(server.chef.restoreNode(name, text)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('is not made of the text of another', async () => {
    await expect(server.chef.restoreNode(name, '{"name":"other"}')).rejects.toMatchObject({
      code: 'rejected',
    });
  });

  test('made by an administrator is not its client’s to save until the ACL says so', async () => {
    await register();
    const acl = server.acl('nodes', name);
    const saved = await remove();
    await server.chef.restoreClient(name, saved);
    await server.chef.restoreNode(name, saved.node);
    expect(await canSave(first.privateKey)).toBe(false);
    expect(await server.chef.restoreAcl('nodes', name, saved.nodeAcl)).toEqual([]);
    expect(await canSave(first.privateKey)).toBe(true);
    expect(server.acl('nodes', name)).toEqual(acl);
  });

  test('without a saved ACL lets its client read and save it, and no more', async () => {
    await server.chef.restoreClient(name, { client: '{}', clientKeys: [asSaved(first)] });
    await server.chef.createNode({ name, run_list: [] });
    expect(await server.chef.allowOwnClient(name)).toBe('allowed');
    expect(await server.chef.allowOwnClient(name)).toBe('allowed');
    expect(await canSave(first.privateKey)).toBe(true);
    expect(server.acl('nodes', name)?.delete.actors).toEqual(['admin']);
    const host = signedInAs(name, first.privateKey);
    await expect(host.deleteNode(name)).rejects.toMatchObject({ code: 'permission' });
    await host.close();
  });

  test('whose own client is not restored gets the rest of its ACL, groups too', async () => {
    await register();
    const saved = await remove();
    const acl = JSON.parse(saved.nodeAcl);
    acl.update.groups.push('users');
    await server.chef.restoreNode(name, saved.node);
    expect(await server.chef.restoreAcl('nodes', name, JSON.stringify(acl))).toEqual([]);
    expect(server.acl('nodes', name)?.update).toEqual({ actors: [], groups: ['admins', 'users'] });
  });

  test('whose ACL names a client that is gone gives its own client back what it had', async () => {
    await register();
    const saved = await remove();
    const gone = JSON.parse(saved.nodeAcl);
    gone.update.actors.push('long-gone');
    await server.chef.restoreClient(name, saved);
    await server.chef.restoreNode(name, saved.node);
    expect(await server.chef.restoreAcl('nodes', name, JSON.stringify(gone))).toEqual(['update']);
    expect(server.faults.splice(0)).toEqual([`PUT /nodes/${name}/_acl/update`]);
    expect(await canSave(first.privateKey)).toBe(true);
  });

  test('whose ACL is closed to us says which right is missing', async () => {
    await register();
    const host = signedInAs(name, first.privateKey);
    const other = `${name}-other`;
    await server.chef.createNode({ name: other, run_list: [] });
    await expect(host.allowOwnClient(other)).rejects.toMatchObject({
      code: 'permission',
      message: expect.stringContaining(`knife acl add client ${name} nodes ${other} grant`),
    });
    await host.close();
  });
});
