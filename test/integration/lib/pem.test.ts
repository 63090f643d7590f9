import { createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseKey } from '../../../src/clients/chef/signing.ts';
import { readSettings } from '../../../src/config.ts';
import { describe as inWords, SettingsError } from '../../../src/domain/errors.ts';
import { normalizePem } from '../../../src/lib/pem.ts';
import { keyPair } from '../../support/chef-server.ts';

const { privateKey } = keyPair();
const pkcs8 = createPrivateKey(privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
const encrypted = createPrivateKey(privateKey)
  .export({ type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
  .toString();

/** The key of a service that got it as this text. */
function keyFrom(text: string) {
  const { CHEF_CLIENT_KEY = '' } = readSettings({
    CHEF_SERVER_URL: 'https://chef.example.com/organizations/acme',
    CHEF_CLIENT_NAME: 'dereg',
    CHEF_CLIENT_KEY: text,
  });
  return parseKey(CHEF_CLIENT_KEY);
}

function refusal(text: string): string {
  try {
    keyFrom(text);
  } catch (error) {
    return error instanceof SettingsError ? error.faults.join('\n') : inWords(error);
  }
  throw new Error('the key was not refused');
}

const breaks = ['\n', '\r\n', '\\n', '\\r\\n', '\\\\n', ' ', '  ', '\t', '', '\n    ', '\\n\n'];
const around = ['', '"', "'", '\n', '\uFEFF', '  '];

describe('the key of the Chef client is read', () => {
  test.each([
    ['PKCS#1', privateKey],
    ['PKCS#8', pkcs8],
  ])('from %s, whatever became of its line breaks and whatever stands around it', (_, pem) => {
    const expected = createPrivateKey(pem);
    fc.assert(
      fc.property(fc.constantFrom(...breaks), fc.constantFrom(...around), (lineBreak, quote) => {
        const text = quote + pem.trim().replaceAll('\n', lineBreak) + quote;
        expect(keyFrom(text).equals(expected)).toBe(true);
        expect(parseKey(text).equals(expected)).toBe(true);
      }),
    );
  });

  test('from lines that each were broken in another way', () => {
    const lines = privateKey.trim().split('\n');
    const ends = fc.array(fc.constantFrom(...breaks), { minLength: lines.length, maxLength: lines.length });
    fc.assert(
      fc.property(ends, each => {
        const text = lines.map((line, at) => line + each[at]).join('');
        expect(keyFrom(text).equals(createPrivateKey(privateKey))).toBe(true);
      }),
    );
  });
});

describe('the key of the Chef client is refused, without any part of it in the message', () => {
  test.each([
    ['cut off in the middle', privateKey.slice(0, 400)],
    ['cut off in the middle, with \\n in two characters', privateKey.slice(0, 400).replaceAll('\n', '\\n')],
    ['without its first line', privateKey.split('\n').slice(1).join('\n')],
    ['with a line missing', privateKey.split('\n').toSpliced(5, 1).join('\n')],
    ['encrypted', encrypted],
    ['encrypted, with blanks for line breaks', encrypted.replaceAll('\n', ' ')],
    ['with two labels that differ', privateKey.replace('END RSA', 'END')],
    ['with nothing between its lines', '-----BEGIN RSA PRIVATE KEY-----\\n-----END RSA PRIVATE KEY-----'],
    ['a path', '/etc/chef/client.pem'],
  ])('if it is %s', (_, text) => {
    const message = refusal(text);
    expect(message).toMatch(/private key/);
    const lines = [privateKey, encrypted].flatMap(pem => pem.split('\n').filter(line => line.length === 64));
    for (const line of lines) expect(message).not.toContain(line.slice(0, 12));
  });
});

test('a PEM block that is written well stays as it is', () => {
  for (const pem of [privateKey, pkcs8]) expect(normalizePem(pem)).toBe(pem.trim());
});

test('a text without a PEM block comes back unchanged', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      expect(normalizePem(text)).toBe(text);
    }),
  );
});
