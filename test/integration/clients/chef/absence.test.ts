import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absence } from '../../../../src/clients/chef/absence.ts';
import { ChefClient } from '../../../../src/clients/chef/client.ts';
import { type ChefServer, registerNode, startChefServer } from '../../../support/chef-server.ts';
import { useChefStandIn } from '../../../support/clients/chef-fixture.ts';

const NODE = ['nodes', 'web-1'];
const KEY = ['clients', 'web-1', 'keys', 'rotated'];
const URL_OF = (path: string) => `https://chef.example.com/organizations/acme${path}`;

describe('a 404', () => {
  test.each<[string, unknown, string[]]>([
    ['Chef Infra Server, of a node', ["node 'web-1' not found"], NODE],
    ['Chef Infra Server, of a client', ['Cannot load client web-1'], ['clients', 'web-1']],
    ['Chef Infra Server, of a client’s keys', ['Cannot load client web-1'], ['clients', 'web-1', 'keys']],
    ['Chef Infra Server, of a key', 'There is no key named rotated associated with web-1.', KEY],
    ['Chef Infra Server, of an ACL', ["node 'web-1' not found"], [...NODE, '_acl']],
    ['goiardi, of a client', ['Client web-1 not found'], ['clients', 'web-1']],
    ['goiardi, of an ACL', ["node 'web-1/_acl' not found"], [...NODE, '_acl']],
    ['a server that writes one message as text', 'client web-1 has no key rotated', KEY],
    [
      'a server with a node called organization',
      ["node 'organization' not found"],
      ['nodes', 'organization'],
    ],
    [
      'a server with a client called organization.a',
      ['Cannot load client organization.a'],
      ['clients', 'organization.a'],
    ],
    ['a server with a node called o', ["node 'o' not found"], ['nodes', 'o']],
  ])('of %s says that the thing is absent', (_, error, target) => {
    expect(absence(404, JSON.stringify({ error }), target)).toBe('certain');
  });

  test.each<[string, unknown, string[]]>([
    ['the URL of what is missing', [`Object not found: ${URL_OF('/nodes/web-1')}`], NODE],
    ['that URL as text', `Object not found: ${URL_OF('/nodes/web-1')}`, NODE],
    ['the URL of the client of a key', [`Object not found: ${URL_OF('/clients/web-1')}`], KEY],
    ['a path of another kind', [`Object not found: ${URL_OF('/client_keys/web-1/keys/rotated')}`], KEY],
    ['the path that was asked for', ['Object not found: /organizations/acme/nodes/web-1'], NODE],
    ['no name at all', ['not found'], NODE],
    ['another name that begins alike', ["node 'web-1.example.com' not found"], NODE],
    ['another name that ends alike', ["node 'db.web-1' not found"], NODE],
    ['the end of a path that goiardi took for a name', ["node 'nodes/web-1' not found"], NODE],
  ])('with %s counts only if the organization is there', (_, error, target) => {
    expect(absence(404, JSON.stringify({ error }), target)).toBe('likely');
  });

  test.each<[string, unknown]>([
    ['an HTML page', '<html>Not Found</html>'],
    ['nothing', ''],
    ['JSON of another kind of server', { error: 'Not Found', status: 404 }],
    ['JSON without an error', { message: 'no' }],
    ['an empty list', { error: [] }],
    ['a list of other things', { error: [{ code: 404 }] }],
    ['an unknown organization', { error: ["Cannot find organization 'acme'"] }],
    ['a missing organization', { error: ["organization 'acme' does not exist."] }],
    ['a missing organization of the node’s name', { error: ["organization 'web-1' does not exist."] }],
    ['a missing organization, as text', { error: 'Cannot load organization web-1' }],
    ['a missing organisation, in British', { error: ['no such organisation: web-1'] }],
  ])('that is %s says nothing of the thing', (_, answer) => {
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
    expect(absence(404, text, NODE)).toBeUndefined();
  });

  test('alone means absent: the same words with another status do not', () => {
    const status = fc.integer({ min: 100, max: 599 }).filter(each => each !== 404);
    fc.assert(
      fc.property(status, each => {
        expect(absence(each, '{"error":["node \'web-1\' not found"]}', NODE)).toBeUndefined();
      }),
    );
  });

  test('is read alike whatever the name is, and never taken for another node’s', () => {
    const name = fc.stringMatching(/^[a-z0-9][\w:-]{0,20}(\.[a-z0-9][\w:-]{0,10})?$/);
    fc.assert(
      fc.property(name, name, (one, other) => {
        fc.pre(one !== other && !/organi[sz]ation/i.test(one + other));
        fc.pre(!['node', 'not', 'found', 'Cannot', 'load', 'client'].includes(one));
        const words = [`node '${other}' not found`, `Cannot load client ${other}`];
        for (const message of words) {
          const text = JSON.stringify({ error: [message] });
          expect(absence(404, text, ['nodes', other])).toBe('certain');
          expect(absence(404, text, ['nodes', one])).toBe('likely');
        }
      }),
    );
  });
});

describe('an absence in words that a missing organization has too', () => {
  const fixture = useChefStandIn();
  const { willAnswer } = fixture;
  const missing = { status: 404, answer: { error: [`Object not found: ${URL_OF('/nodes/web-1')}`] } };
  const environment = { method: 'GET', path: '/environments/_default' };

  test('counts if the organization is there', async () => {
    for (const method of ['GET', 'DELETE', 'PUT']) willAnswer({ method, path: '/nodes/web-1', ...missing });
    expect(await fixture.chef.getNode('web-1')).toBeUndefined();
    expect(await fixture.chef.deleteNode('web-1')).toBe('absent');
    expect(await fixture.chef.updateNode({ name: 'web-1' })).toBe('absent');
  });

  test('counts if the organization may not be read, since it is there then', async () => {
    willAnswer({ method: 'GET', path: '/nodes/web-1', ...missing });
    willAnswer({ ...environment, status: 403, answer: { error: ['missing read permission'] } });
    expect(await fixture.chef.getNode('web-1')).toBeUndefined();
  });

  test.each([
    [
      'is missing',
      { status: 404, answer: { error: [`Object not found: ${URL_OF('/environments/_default')}`] } },
      'rejected',
    ],
    ['is not a path of the server', { answer: '' }, 'rejected'],
    ['cannot be asked for', { status: 401, answer: { error: ['no'] } }, 'credentials'],
  ])('is a fault if the organization %s', async (_, answer, code) => {
    for (const method of ['GET', 'DELETE']) {
      willAnswer({ method, path: '/nodes/web-1', ...missing }, { ...environment, ...answer });
    }
    await expect(fixture.chef.getNode('web-1')).rejects.toMatchObject({ code });
    await expect(fixture.chef.deleteNode('web-1')).rejects.toMatchObject({ code });
  });

  test('is not decided while the organization cannot be asked for', async () => {
    willAnswer({ method: 'GET', path: '/nodes/web-1', ...missing });
    willAnswer(...Array.from({ length: 3 }, () => ({ ...environment, status: 503 })));
    await expect(fixture.chef.getNode('web-1')).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a key that is gone by the time it is read', () => {
  const fixture = useChefStandIn();
  const { willAnswer } = fixture;
  const list = ['default', 'rotated'].map(name => ({ uri: 'https://elsewhere', name, expired: false }));
  const kept = { name: 'default', public_key: 'PEM', expiration_date: 'infinity' };
  const get = (path: string, status: number, answer: unknown) => ({ method: 'GET', path, status, answer });

  test.each<[string, unknown]>([
    ['as text', 'There is no key named rotated associated with web-1.'],
    ['as a list', ['There is no key named rotated associated with web-1.']],
    ['by its URL', [`Object not found: ${URL_OF('/client_keys/web-1/keys/rotated')}`]],
  ])('is no key of the client, if the server says so %s', async (_, error) => {
    willAnswer(
      get('/clients/web-1/keys', 200, list),
      get('/clients/web-1/keys/default', 200, kept),
      get('/clients/web-1/keys/rotated', 404, { error }),
    );
    expect(await fixture.chef.getClientKeys('web-1')).toEqual([kept]);
  });

  test('is a fault if the organization is gone', async () => {
    const error = ["organization 'acme' does not exist."];
    willAnswer(
      get('/clients/web-1/keys', 200, list.slice(1)),
      get('/clients/web-1/keys/rotated', 404, { error }),
    );
    await expect(fixture.chef.getClientKeys('web-1')).rejects.toMatchObject({ code: 'rejected' });
  });

  test.each([
    ['there is no such client if it is gone too', 404, { error: ['Cannot load client web-1'] }, undefined],
    ['the client has no keys if it is there', 200, { name: 'web-1' }, []],
  ])('may be the last: %s', async (_, status, answer, keys) => {
    const error = ['Cannot load client web-1'];
    willAnswer(
      get('/clients/web-1/keys', 200, list),
      get('/clients/web-1/keys/default', 404, { error }),
      get('/clients/web-1/keys/rotated', 404, { error }),
      get('/clients/web-1', status, answer),
    );
    expect(await fixture.chef.getClientKeys('web-1')).toEqual(keys);
  });
});

describe('a Chef server URL with a wrong path', () => {
  let server: ChefServer;
  beforeAll(async () => {
    server = await startChefServer();
    await registerNode(server, { name: 'here' });
  });
  afterAll(() => server?.stop());

  test.each(['/nodes', '/clients', '/organizations/acme', '/environments', '/search'])(
    'is a fault, not an absent node or client: %s',
    async path => {
      const { url, adminName, adminKey } = server;
      const chef = new ChefClient({ url: url + path, clientName: adminName, key: adminKey });
      try {
        const calls = [
          () => chef.getNode('here'),
          () => chef.getClient('here'),
          () => chef.getClientKeys('here'),
          () => chef.clientIdentity('here'),
          () => chef.snapshot('here'),
          () => chef.deleteNode('here'),
          () => chef.deleteClient('here'),
          () => chef.findNodeNames('ec2.instance_id', 'i-00000001'),
          () => chef.listNodes({ instance: 'ec2.instance_id' }),
          () => chef.probe(),
        ];
        for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'rejected' });
      } finally {
        await chef.close();
      }
      expect(await server.chef.getNode('here')).toBeDefined();
      expect(await server.chef.getClient('here')).toBeDefined();
    },
  );
});
