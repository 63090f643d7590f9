import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { stringify } from 'smol-toml';
import { expect, test } from 'vitest';
import { readCredentials } from '../../../../src/clients/chef/credentials.ts';
import { AppError, describe } from '../../../../src/domain/errors.ts';
import { freshDirectory } from '../../../support/process.ts';

const folder = freshDirectory('credentials');
const key = '-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n';
const url = 'https://chef.example.com/organizations/acme';
writeFileSync(join(folder, 'dereg.pem'), key);

function file(content: string): string {
  const path = join(folder, 'credentials');
  writeFileSync(path, content);
  return path;
}

function profile(fields: Record<string, unknown>): string {
  return file(
    stringify({ default: { client_name: 'dereg', client_key: key, chef_server_url: url, ...fields } }),
  );
}

function refusal(name: string, path: string): string {
  try {
    readCredentials(name, path);
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'invalid' });
    return describe(error);
  }
  throw new Error('nothing was refused');
}

test("knife's own example is read", () => {
  const path = file(`
[default]
client_name     = 'barney'
client_key      = 'dereg.pem'
chef_server_url = 'https://api.chef-server.dev/organizations/bedrock'

[fred]
client_name = 'fred'
client_key = """
${key}"""
chef_server_url = '${url}'

[default.knife]
ssh_user = 'ubuntu'
`);
  expect(readCredentials('default', path)).toEqual({
    url: 'https://api.chef-server.dev/organizations/bedrock',
    clientName: 'barney',
    key,
  });
  expect(readCredentials('fred', path)).toEqual({ url, clientName: 'fred', key: key.trim() });
});

test.each([
  ['relative to the folder of the file', 'dereg.pem'],
  ['relative upwards', `../${folder.split('/').at(-1)}/dereg.pem`],
  ['absolute', join(folder, 'dereg.pem')],
  ["in the user's home", `~/${relative(homedir(), join(folder, 'dereg.pem'))}`],
])('client_key may be a path %s', (_, client_key) => {
  expect(readCredentials('default', profile({ client_key })).key).toBe(key);
});

test('node_name is the old word for client_name, and both at once are refused', () => {
  const old = { node_name: 'old', client_key: key, chef_server_url: url };
  expect(readCredentials('default', file(stringify({ default: old }))).clientName).toBe('old');
  expect(refusal('default', profile({ node_name: 'old' }))).toMatch(/client_name and node_name/);
});

test('a profile that is not there is reported with those that are', () => {
  const path = file('top = 1\n[a]\n[b]\n');
  expect(refusal('default', path)).toBe(`${path} has no profile default: it has a, b`);
  expect(refusal('top', path)).toContain('no profile top');
  expect(refusal('__proto__', path)).toContain('no profile __proto__');
  expect(refusal('default', file(''))).toContain('it has none');
});

test.each(['client_name', 'client_key', 'chef_server_url'])('a profile without %s is named', name => {
  const fields: Record<string, unknown> = { client_name: 'dereg', client_key: key, chef_server_url: url };
  for (const [value, words] of [
    [undefined, 'lacks'],
    ['', 'has an unusable'],
    [7, 'has an unusable'],
  ] as const) {
    const path = file(stringify({ web: { ...fields, [name]: value } }));
    expect(refusal('web', path)).toBe(`profile web of ${path} ${words} ${name}`);
  }
});

test('files that cannot be read are named with the reason', () => {
  const missing = join(folder, 'nowhere');
  expect(refusal('default', missing)).toBe(`cannot read the Chef credentials at ${missing} (ENOENT)`);
  mkdirSync(join(folder, 'folder.pem'), { recursive: true });
  expect(refusal('default', profile({ client_key: 'folder.pem' }))).toMatch(
    /cannot read client_key of profile default of .*credentials at .*folder\.pem \(EISDIR\)/,
  );
});

test('a fault in the TOML is reported with its place, without the secret beside it', () => {
  const message = refusal('default', file(`[default]\nclient_key = "${key.split('\n')[1]}\nx`));
  expect(message).toMatch(/not TOML at line 2, column \d+$/);
  expect(message).not.toContain('c2VjcmV0');
});

test('whatever the file holds, it is read or refused as invalid, and nothing of it is quoted', () => {
  const path = file('');
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('[default]\n', 'client_key = '), (text, before) => {
      writeFileSync(path, `${before}c2VjcmV0${text}`);
      expect(refusal('default', path)).not.toContain('c2VjcmV0');
    }),
  );
});

test('any profile name and values come back as they were written', () => {
  const word = fc.stringMatching(/^[\w.:/-]{1,20}$/);
  fc.assert(
    fc.property(word, word, word, (name, client_name, chef_server_url) => {
      const path = file(stringify({ [name]: { client_name, chef_server_url, client_key: key } }));
      expect(readCredentials(name, path)).toEqual({
        url: chef_server_url,
        clientName: client_name,
        key: key.trim(),
      });
    }),
  );
});
