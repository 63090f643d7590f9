import { createPrivateKey, generateKeyPairSync, publicDecrypt, verify } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChefClient } from '../../../../src/clients/chef/client.ts';
import {
  canonicalPath,
  canonicalRequest,
  parseKey,
  signedHeaders,
} from '../../../../src/clients/chef/signing.ts';
import { type ChefServer, keyPair, startChefServer } from '../../../support/chef-server.ts';

const { publicKey, privateKey } = keyPair();
const request = {
  clientName: 'dereg',
  key: parseKey(privateKey),
  method: 'DELETE',
  path: '/organizations/acme//nodes/web-1/',
  body: '',
  time: new Date('2026-03-04T05:06:07.890Z'),
};

function signatureIn(headers: Record<string, string>): Buffer {
  const lines: string[] = [];
  for (let n = 1; headers[`X-Ops-Authorization-${n}`] !== undefined; n++) {
    lines.push(headers[`X-Ops-Authorization-${n}`] ?? '');
  }
  expect(lines.slice(0, -1).every(line => line.length === 60)).toBe(true);
  return Buffer.from(lines.join(''), 'base64');
}

test('version 1.3 signs the request as text, with SHA-256', async () => {
  const headers = await signedHeaders({ ...request, version: '1.3' });
  expect(headers).toMatchObject({
    'X-Ops-Sign': 'algorithm=sha256;version=1.3;',
    'X-Ops-UserId': 'dereg',
    'X-Ops-Timestamp': '2026-03-04T05:06:07Z',
    'X-Ops-Server-API-Version': '1',
    'X-Ops-Content-Hash': '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
  });
  const text = [
    'Method:DELETE',
    'Path:/organizations/acme/nodes/web-1',
    'X-Ops-Content-Hash:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
    'X-Ops-Sign:version=1.3',
    'X-Ops-Timestamp:2026-03-04T05:06:07Z',
    'X-Ops-UserId:dereg',
    'X-Ops-Server-API-Version:1',
  ].join('\n');
  expect(verify('sha256', Buffer.from(text), publicKey, signatureIn(headers))).toBe(true);
});

test('version 1.1 encrypts the request itself, with path and client name as SHA-1', async () => {
  const headers = await signedHeaders({ ...request, version: '1.1' });
  expect(headers['X-Ops-Sign']).toBe('algorithm=sha1;version=1.1;');
  expect(headers['X-Ops-UserId']).toBe('dereg');
  expect(publicDecrypt(publicKey, signatureIn(headers)).toString().split('\n')).toEqual([
    'Method:DELETE',
    expect.stringMatching(/^Hashed Path:[\w+/]{27}=$/),
    'X-Ops-Content-Hash:2jmj7l5rSw0yVb/vlWAYkK/YBwk=',
    'X-Ops-Timestamp:2026-03-04T05:06:07Z',
    expect.stringMatching(/^X-Ops-UserId:[\w+/]{27}=$/),
  ]);
});

describe('a path, as it is signed', () => {
  const path = fc.array(fc.constantFrom('/', '//', 'nodes', 'a:b', '%2e', '.'), { minLength: 1 });

  test('has no doubled slash and none at its end, and is not changed a second time', () => {
    fc.assert(
      fc.property(path, parts => {
        const canonical = canonicalPath(`/${parts.join('')}`);
        expect(canonical).toMatch(/^(\/|(\/[^/]+)+)$/);
        expect(canonicalPath(canonical)).toBe(canonical);
        expect(canonical.split('/').filter(Boolean)).toEqual(parts.join('').split('/').filter(Boolean));
      }),
    );
  });

  test('gives the same text to sign however many slashes it was written with', () => {
    fc.assert(
      fc.property(path, fc.constantFrom('1.1' as const, '1.3' as const), (parts, version) => {
        const text = (path: string) => canonicalRequest({ ...request, version, path });
        expect(text(`/${parts.join('')}/`)).toBe(text(`//${parts.join('')}`));
      }),
    );
  });
});

describe('a key', () => {
  const forms = ['pkcs1', 'pkcs8'] as const;

  test.each(forms)('may be PEM in %s', async type => {
    const pem = createPrivateKey(privateKey).export({ type, format: 'pem' }).toString();
    const headers = await signedHeaders({ ...request, key: parseKey(pem), version: '1.3' });
    expect(headers).toEqual(await signedHeaders({ ...request, version: '1.3' }));
  });

  test.each([
    ['no PEM', 'MIIEsecret'],
    ['cut off', privateKey.slice(0, 400)],
    ['a public key', publicKey],
    ['an elliptic-curve key', ecKey()],
  ])('that is %s is refused without any part of it in the message', (_, pem) => {
    expect(() => parseKey(pem)).toThrow(expect.objectContaining({ code: 'invalid' }));
    expect(() => parseKey(pem)).not.toThrow(/MII|BEGIN|secret/);
  });
});

describe('a Chef server', () => {
  let server: ChefServer;
  beforeAll(async () => {
    server = await startChefServer();
  });
  afterAll(() => server.stop());

  test.each(['1.1', '1.3'] as const)('believes version %s', async signing => {
    const { url, adminName, adminKey } = server;
    const chef = new ChefClient({ url, clientName: adminName, key: adminKey, signing });
    const name = `web-${signing}`;
    await chef.createNode({ name, normal: { ä: '€' } });
    expect(await chef.getNode(name)).toMatchObject({ name, normal: { ä: '€' } });
    expect(await chef.deleteNode(name)).toBe('deleted');
    await chef.close();
  });
});

function ecKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
