import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChefClient } from '../../../../src/clients/chef/client.ts';
import { keyFingerprint } from '../../../../src/domain/key-fingerprint.ts';
import { type ChefServer, keyPair, registerNode, startChefServer } from '../../../support/chef-server.ts';
import { useChefStandIn } from '../../../support/clients/chef-fixture.ts';
import { type HttpProxy, startHttpProxy } from '../../../support/http-proxy.ts';

const noOrganization = { error: ["organization 'acme' does not exist."] };

describe('the identity of a client, on a server that keeps its key in the client', () => {
  let server: ChefServer;
  let proxy: HttpProxy;
  let chef: ChefClient;

  beforeAll(async () => {
    server = await startChefServer();
    proxy = await startHttpProxy(server.url);
    chef = new ChefClient({ url: proxy.url, clientName: server.adminName, key: server.adminKey });
  });
  afterAll(async () => {
    await chef?.close();
    await proxy?.stop();
    await server?.stop();
  });

  test('is read by one request, and changes with the key', async () => {
    const { publicKey } = keyPair();
    await server.chef.createClient({ name: 'web-1', public_key: publicKey });
    expect(await chef.clientIdentity('web-1')).toEqual({
      validator: false,
      keys: [{ name: 'default', public_key: publicKey, expiration_date: 'infinity' }],
      fingerprints: [keyFingerprint(publicKey)],
    });
    expect(proxy.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /clients/web-1/keys',
    ]);
    await server.chef.deleteClient('web-1');
    expect(await chef.clientIdentity('web-1')).toBeUndefined();
    await registerNode(server, { name: 'web-1' });
    expect((await chef.clientIdentity('web-1'))?.fingerprints).not.toEqual([keyFingerprint(publicKey)]);
  });

  test('says of the validator that it is one', async () => {
    expect(await chef.clientIdentity('chef-validator')).toMatchObject({ validator: true });
  });
});

describe('the identity of a client, on a server with key lists', () => {
  const fixture = useChefStandIn();
  const { willAnswer } = fixture;
  const get = (path: string, answer: unknown) => ({ method: 'GET', path, answer });
  const gone = (path: string) => ({ ...get(path, { error: ['Cannot load client web-1'] }), status: 404 });

  function willList(keys: object[], client: object, name = 'web-1'): void {
    willAnswer(
      get(`/clients/${name}/keys`, keys),
      get(`/clients/${name}`, { name, ...client }),
      ...keys.map(key => get(`/clients/${name}/keys/${'name' in key ? key.name : ''}`, key)),
    );
  }

  test('has every key, expired and unreadable ones too, and each fingerprint once', async () => {
    const { publicKey } = keyPair();
    const keys = [
      { name: 'default', public_key: publicKey, expiration_date: 'infinity' },
      { name: 'again', public_key: `${publicKey}\n`, expiration_date: '2099-01-01T00:00:00Z' },
      { name: 'expired', public_key: 'made up', expiration_date: '2020-01-01T00:00:00Z' },
    ];
    willList(keys, { validator: false });
    expect(await fixture.chef.clientIdentity('web-1')).toEqual({
      validator: false,
      keys,
      fingerprints: [keyFingerprint(publicKey), keyFingerprint('made up')].sort(),
    });
  });

  test('has no keys if the client has none', async () => {
    willList([], { validator: false });
    expect(await fixture.chef.clientIdentity('web-1')).toEqual({
      validator: false,
      keys: [],
      fingerprints: [],
    });
  });

  test.each([
    ['acme-validator', { validator: true }, true],
    ['web-1', { validator: true }, true],
    ['acme-validator', {}, true],
    ['chef-validator', {}, true],
    ['acme-validator', { validator: false }, false],
    ['validator-1', {}, false],
    ['web-1', {}, false],
  ])('of %s that the server shows as %j has validator: %j', async (name, client, validator) => {
    willList([], client, name);
    expect(await fixture.chef.clientIdentity(name)).toMatchObject({ validator });
  });

  test('is undefined if there is no such client, and if it is deleted between the requests', async () => {
    willAnswer(gone('/clients/web-1/keys'));
    expect(await fixture.chef.clientIdentity('web-1')).toBeUndefined();
    willAnswer(get('/clients/web-1/keys', []), gone('/clients/web-1'));
    expect(await fixture.chef.clientIdentity('web-1')).toBeUndefined();
  });

  test.each([
    ['of another client', get('/clients/web-1/keys', { name: 'web-2', public_key: 'PEM' }), 'rejected'],
    ['without a key', get('/clients/web-1/keys', { name: 'web-1' }), 'rejected'],
    ['that is not JSON', get('/clients/web-1/keys', '<html>'), 'rejected'],
    ['of a missing organization', { ...get('/clients/web-1/keys', noOrganization), status: 404 }, 'rejected'],
  ])('is a fault, not an absence, if the answer is one %s', async (_, exchange, code) => {
    willAnswer(exchange);
    await expect(fixture.chef.clientIdentity('web-1')).rejects.toMatchObject({ code });
  });

  test('is refused for a name that is not one segment of a path', async () => {
    await expect(fixture.chef.clientIdentity('web-1/keys')).rejects.toMatchObject({ code: 'invalid' });
  });
});
