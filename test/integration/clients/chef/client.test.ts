import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ChefClient } from '../../../../src/clients/chef/client.ts';
import { attribute, ohaiTime } from '../../../../src/domain/chef-node.ts';
import { isNodeName } from '../../../../src/domain/identifiers.ts';
import { makeCertificateAuthority } from '../../../support/certificates.ts';
import {
  type ChefServer,
  keyPair,
  nodeOf,
  registerNode,
  startChefServer,
} from '../../../support/chef-server.ts';
import { until } from '../../../support/process.ts';

let server: ChefServer;
let chef: ChefClient;

beforeAll(async () => {
  server = await startChefServer();
  chef = server.chef;
});
afterAll(() => server.stop());

/** A client of the same server, closed after the work. */
async function as<T>(
  options: Partial<ConstructorParameters<typeof ChefClient>[0]>,
  work: (chef: ChefClient) => Promise<T>,
): Promise<T> {
  const { url, adminName, adminKey } = server;
  const client = new ChefClient({ url, clientName: adminName, key: adminKey, ...options });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

describe('a node and its client', () => {
  test('are read as the host registered them', async () => {
    const ohai = new Date('2026-01-02T03:04:05.500Z');
    const { node } = await registerNode(server, {
      name: 'web-1.example.com',
      instanceId: 'i-0123456789abcdef0',
      ohaiTime: ohai,
      environment: 'production',
      runList: ['role[web]'],
      normal: { nagios: { name: 'web-1' } },
      override: { nagios: { name: 'web-one' } },
    });
    const read = await chef.getNode('web-1.example.com');
    expect(read).toEqual(node);
    expect(read && attribute(read, 'ec2.instance_id')).toBe('i-0123456789abcdef0');
    expect(read && attribute(read, 'nagios.name')).toBe('web-one');
    expect(read && ohaiTime(read)).toEqual(ohai);
    expect(await chef.getClient('web-1.example.com')).toMatchObject({
      name: 'web-1.example.com',
      admin: false,
    });
  });

  test('are deleted one without the other, and once', async () => {
    await registerNode(server, { name: 'web-2' });
    expect(await chef.deleteNode('web-2')).toBe('deleted');
    expect(await chef.deleteNode('web-2')).toBe('absent');
    expect(await chef.getNode('web-2')).toBeUndefined();
    expect(await chef.getClient('web-2')).toBeDefined();
    expect(await chef.deleteClient('web-2')).toBe('deleted');
    expect(await chef.deleteClient('web-2')).toBe('absent');
    expect(await chef.getClient('web-2')).toBeUndefined();
    expect(await chef.getClientKeys('web-2')).toBeUndefined();
  });

  test('come back from what was read, and the old key of the host works again', async () => {
    const { privateKey } = await registerNode(server, { name: 'web-3', ownKey: true });
    const node = await chef.getNode('web-3');
    const [key] = (await chef.getClientKeys('web-3')) ?? [];
    await chef.deleteNode('web-3');
    await chef.deleteClient('web-3');
    if (!node || !key) throw new Error('nothing was read');
    await chef.createClient({ name: 'web-3', public_key: key.public_key });
    await chef.createNode(node);
    expect(await chef.getNode('web-3')).toEqual(node);
    await as({ clientName: 'web-3', key: privateKey }, host => host.probe());
  });

  test('of a host have the public key that belongs to its private key', async () => {
    const { publicKey } = keyPair();
    await chef.createClient({ name: 'web-4', public_key: publicKey });
    expect(await chef.getClientKeys('web-4')).toEqual([
      { name: 'default', public_key: publicKey, expiration_date: 'infinity' },
    ]);
  });

  test('are kept before a deletion as the server sent them, with the key in the client', async () => {
    const { node } = await registerNode(server, { name: 'kept' });
    const kept = await chef.snapshot('kept');
    expect(JSON.parse(kept.node ?? '')).toEqual(node);
    expect(JSON.parse(kept.client ?? '')).toMatchObject({ name: 'kept', public_key: expect.any(String) });
    expect(kept).toMatchObject({ clientKeys: [], nodeAcl: undefined, clientAcl: undefined });
    await chef.deleteClient('kept');
    expect(await chef.snapshot('kept')).toEqual({ ...kept, client: null });
  });

  test('can be made by the server with a key of its own making', async () => {
    const { private_key } = await chef.createClient({ name: 'web-5', create_key: true });
    await as({ clientName: 'web-5', key: String(private_key) }, host => host.probe());
  });

  test('that exist are a conflict when created', async () => {
    const { node } = await registerNode(server, { name: 'web-6' });
    await expect(chef.createNode(node)).rejects.toMatchObject({ code: 'conflict' });
    await expect(chef.createClient({ name: 'web-6' })).rejects.toMatchObject({ code: 'conflict' });
  });

  test('are updated where they are, and not created', async () => {
    const { node } = await registerNode(server, { name: 'web-7' });
    expect(await chef.updateNode({ ...node, run_list: ['role[db]'] })).toBe('updated');
    expect(await chef.getNode('web-7')).toMatchObject({ run_list: ['role[db]'] });
    expect(await chef.updateNode({ ...node, name: 'web-8' })).toBe('absent');
    expect(await chef.getNode('web-8')).toBeUndefined();
  });

  test('may have every sign in their name that Chef allows', async () => {
    await chef.createNode(nodeOf({ name: 'A_b:c-d.e' }));
    expect(await chef.getNode('A_b:c-d.e')).toMatchObject({ name: 'A_b:c-d.e' });
    expect(await chef.deleteNode('A_b:c-d.e')).toBe('deleted');
  });
});

describe('a search', () => {
  test('finds all nodes of an instance by the path of the attribute', async () => {
    await registerNode(server, { name: 'twin-1', instanceId: 'i-00000000000000001' });
    await registerNode(server, { name: 'twin-2', instanceId: 'i-00000000000000001' });
    await registerNode(server, { name: 'other', instanceId: 'i-00000000000000002' });
    const names = await chef.findNodeNames('ec2.instance_id', 'i-00000000000000001');
    expect(names.sort()).toEqual(['twin-1', 'twin-2']);
    expect(await chef.findNodeNames('ec2.instance_id', 'i-00000000000000003')).toEqual([]);
  });

  test('takes a colon as part of the value', async () => {
    await registerNode(server, { name: 'colon', normal: { cloud_id: 'aws:i-1' } });
    const names = await until('the index', async () => {
      const found = await chef.findNodeNames('cloud_id', 'aws:i-1');
      return found.length > 0 && found;
    });
    expect(names).toEqual(['colon']);
  });

  test.each(['', '*', 'i-1 OR name:*', 'i-1*', '"', 'AND', 'a\\', '[a TO b]', '-i', 'i-1~', 'ä', 'a/b'])(
    'for %j is refused',
    async value => {
      await expect(chef.findNodeNames('ec2.instance_id', value)).rejects.toMatchObject({ code: 'invalid' });
    },
  );

  test.each(['', 'a b', '*', 'a..b', '.a', 'a:b', 'ec2.instance_id:x OR name'])(
    'by %j is refused',
    async by => {
      await expect(chef.findNodeNames(by, 'i-1')).rejects.toMatchObject({ code: 'invalid' });
    },
  );
});

describe('a name that is not one segment of a path', () => {
  const bad = [
    '',
    '.',
    '..',
    'a/../b',
    'x/_acl',
    'victim/keys/default',
    'a%2fb',
    'ä',
    'a b',
    'a?b',
    'a#b',
    'a\n',
  ];

  test('is refused by every call, and nothing of the victim is touched', async () => {
    await registerNode(server, { name: 'victim' });
    const anything = fc.oneof(
      fc.constantFrom(...bad),
      fc.string({ unit: 'binary' }).filter(name => !isNodeName(name)),
    );
    await fc.assert(
      fc.asyncProperty(anything, async name => {
        const calls = [
          chef.getNode(name),
          chef.getClient(name),
          chef.getClientKeys(name),
          chef.snapshot(name),
          chef.createNode({ name }),
          chef.updateNode({ name }),
          chef.createClient({ name }),
          chef.deleteNode(name),
          chef.deleteClient(name),
        ];
        for (const outcome of await Promise.allSettled(calls)) {
          expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'invalid', field: 'name' } });
        }
      }),
    );
    expect(await chef.getNode('victim')).toBeDefined();
    expect(await chef.getClient('victim')).toBeDefined();
  });
});

describe('a client whose key is refused or that lacks a permission', () => {
  test('a clock that is off is reported with how much and which way', async () => {
    for (const [shift, words] of [
      [3_600_000, /clock is 3(600|599|601) s ahead of .*Chef client admin: set the clock right/],
      [-3_600_000, /clock is 3(600|599|601) s behind/],
    ] as const) {
      const shifted = as({ now: () => new Date(Date.now() + shift) }, chef => chef.getNode('web-1'));
      await expect(shifted).rejects.toMatchObject({
        code: 'credentials',
        message: expect.stringMatching(words),
      });
    }
  });

  test('a wrong key and an unknown client are reported with the name of the client', async () => {
    const { clientName } = await registerNode(server, { name: 'impostor' });
    for (const who of [clientName, 'nobody']) {
      const call = as({ clientName: who, key: server.adminKey }, chef => chef.deleteNode('web-1'));
      await expect(call).rejects.toMatchObject({
        code: 'credentials',
        message: expect.stringMatching(`key is not that of Chef client ${who}.*not the clock`),
      });
    }
  });

  test('what a client may not do is told with the permission it lacks', async () => {
    const { clientName, privateKey } = await registerNode(server, { name: 'plain' });
    await registerNode(server, { name: 'foreign' });
    await as({ clientName, key: privateKey }, async plain => {
      await expect(plain.deleteNode('foreign')).rejects.toMatchObject({
        code: 'permission',
        message: expect.stringMatching(
          /client plain lacks DELETE on nodes\/foreign; grant it with: knife acl add client plain nodes foreign delete/,
        ),
      });
      await expect(plain.deleteClient('foreign')).rejects.toMatchObject({ code: 'permission' });
    });
    expect(await chef.getNode('foreign')).toBeDefined();
  });
});

describe('the URL', () => {
  test('of an organization the server does not have is a fault, not an absent node', async () => {
    await registerNode(server, { name: 'here' });
    await as({ url: `${server.url}/organizations/acme/` }, async chef => {
      const calls = [
        () => chef.getNode('here'),
        () => chef.deleteNode('here'),
        () => chef.deleteClient('here'),
        () => chef.snapshot('here'),
        () => chef.probe(),
      ];
      for (const call of calls) {
        await expect(call()).rejects.toMatchObject({
          code: 'rejected',
          message: expect.stringMatching(/answered 200 with nothing: .*organizations\/ORG/),
        });
      }
    });
  });

  test('may end with slashes', async () => {
    await as({ url: `${server.url}//` }, chef => chef.probe());
  });

  test.each([
    '',
    'chef.example.com',
    'ftp://chef',
    'https://user:secret@chef',
    'https://chef/?a',
    'https://chef/#a',
  ])('is refused where it is %j', url => {
    const options = { url, clientName: 'admin', key: server.adminKey };
    expect(() => new ChefClient(options)).toThrow(expect.objectContaining({ code: 'invalid' }));
    expect(() => new ChefClient(options)).not.toThrow(/secret/);
  });

  test('may be HTTPS', async () => {
    const authority = await makeCertificateAuthority();
    onTestFinished(authority.trust());
    const { certificate: cert, key } = await authority.issue();
    const secure = await startChefServer({ tls: { cert, key } });
    await secure.chef.probe();
    await secure.stop();
  });
});

test('a server started again where it was stopped has its nodes and clients', async () => {
  const first = await startChefServer();
  await registerNode(first, { name: 'web-1', instanceId: 'i-00000001' });
  await first.stop();
  const again = await startChefServer({ directory: first.directory });
  expect(await again.chef.getClient('web-1')).toBeDefined();
  expect(await again.chef.findNodeNames('ec2.instance_id', 'i-00000001')).toEqual(['web-1']);
  await again.stop();
});
