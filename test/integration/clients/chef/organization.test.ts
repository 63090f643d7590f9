import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { useChefStandIn } from '../../../support/clients/chef-fixture.ts';

const fixture = useChefStandIn();
const { willAnswer, signIn } = fixture;
const node = { method: 'GET', path: '/nodes/web-1' };

describe('the keys of a client', () => {
  const keys = { method: 'GET', path: '/clients/web-1/keys' };

  test('are fetched one by one, and one that vanishes meanwhile is left out', async () => {
    const rotated = { name: 'rotated', public_key: 'PEM', expiration_date: '2027-01-01T00:00:00Z' };
    const list = ['default', 'rotated'].map(name => ({ uri: 'https://elsewhere', name, expired: false }));
    willAnswer(
      { ...keys, answer: list },
      { ...keys, path: `${keys.path}/default`, status: 404, answer: { error: ['no key default'] } },
      { ...keys, path: `${keys.path}/rotated`, answer: rotated },
    );
    expect(await fixture.chef.getClientKeys('web-1')).toEqual([rotated]);
  });

  test.each([
    ['a name that leads elsewhere', [{ name: '../../victim' }], 'invalid'],
    ['no names', [1], 'invalid'],
    ['another client', { name: 'web-2', public_key: 'PEM' }, 'rejected'],
    ['a client without a key', { name: 'web-1' }, 'rejected'],
  ])('with %s are a fault', async (_, answer, code) => {
    willAnswer({ ...keys, answer });
    await expect(fixture.chef.getClientKeys('web-1')).rejects.toMatchObject({ code });
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
    expect(await fixture.chef.snapshot('web-1')).toEqual({
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
    await expect(fixture.chef.snapshot('web-1')).rejects.toMatchObject({ code: 'rejected' });
    await expect.poll(fixture.server.open).toEqual([]);
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
    expect(await fixture.chef.snapshot('web-1')).toEqual({ node: null, client: null, clientKeys: [] });
  });
});

describe('the health check', () => {
  const environment = { method: 'GET', path: '/environments/_default' };

  test('passes if the server accepts our key, even if it allows nothing', async () => {
    willAnswer({ ...environment, answer: { name: '_default' } });
    await fixture.chef.probe();
    willAnswer({ ...environment, status: 403, answer: { error: ['missing read permission'] } });
    await fixture.chef.probe();
  });

  test.each([
    [401, 'credentials'],
    [404, 'rejected'],
    [503, 'unavailable'],
  ])('fails on %i, after one request', async (status, code) => {
    willAnswer({ ...environment, status, answer: { error: ['no'] } });
    await expect(fixture.chef.probe()).rejects.toMatchObject({ code });
  });

  test('does not wait behind the other calls', async () => {
    const held: ServerResponse[] = [];
    const narrow = signIn({ connections: 1 });
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
  await expect.poll(() => fixture.server.sockets.size).toBe(0);
  const pool = signIn({ connections: 4 });
  for (let round = 0; round < 2; round++) {
    const calls = Array.from({ length: 40 }, (_, n) => {
      willAnswer({ method: 'GET', path: `/nodes/web-${n}`, answer: { name: `web-${n}` } });
      return pool.getNode(`web-${n}`);
    });
    await Promise.all(calls);
  }
  const opened = fixture.server.sockets.size;
  await pool.close();
  expect(opened).toBe(4);
});
