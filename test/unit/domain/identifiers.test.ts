import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { isInstanceId, isNagiosHostName, isNodeName } from '../../../src/domain/identifiers.ts';

test('what Chef itself allows names a node', () => {
  const allowed = ['web-1.example.com', 'a', 'A_b:c.d-e', '-', '_', '0', 'a..b', '.a', 'a'.repeat(255)];
  for (const name of allowed) expect(isNodeName(name), name).toBe(true);
});

test('what could become more or less than one segment of a path does not', () => {
  const refused = ['', '.', '..', '...', 'a/b', 'a/../b', 'x/_acl', 'victim/keys/default', 'a\\b', 'a b'];
  refused.push('a\n', '\na', 'a%2fb', 'a?b', 'a#b', 'a;b', 'ü', 'а', 'a\0', '*', 'a'.repeat(256));
  for (const name of refused) expect(isNodeName(name), JSON.stringify(name)).toBe(false);
  for (const value of [null, undefined, 7, ['a'], { length: 1 }]) expect(isNodeName(value)).toBe(false);
});

test('a name of any kind that passes is one and the same segment of a URL and of a file path', () => {
  const nearly = fc.string({ unit: fc.constantFrom('a', '.', '/', '%', '-', ':', '\\', 'é', '?', '#') });
  fc.assert(
    fc.property(fc.oneof(fc.string(), nearly), name => {
      fc.pre(isNodeName(name));
      expect(new URL(`https://chef/nodes/${name}`).pathname).toBe(`/nodes/${name}`);
    }),
  );
});

test('an instance id is i- and 8 or 17 hexadecimal digits', () => {
  for (const id of ['i-0a1b2c3d', 'i-0a1b2c3d4e5f60718']) expect(isInstanceId(id), id).toBe(true);
  const refused = [
    'i-',
    'i-0a1b2c3',
    'i-0a1b2c3d4',
    'i-0A1B2C3D',
    'i-0a1b2c3d\n',
    ' i-0a1b2c3d',
    'mi-0a1b2c3d',
  ];
  for (const id of [...refused, 'i-0a1b2c3d4e5f607189', '', null, 7, ['i-0a1b2c3d']]) {
    expect(isInstanceId(id), JSON.stringify(id)).toBe(false);
  }
});

test('what Nagios itself allows names a Nagios host', () => {
  const allowed = [
    'web-1.example.com',
    'Web Server 1',
    'a:b_c.d-e/f',
    'a\\b#c@d[e]{f}+g',
    'Übersee 1',
    'x'.repeat(255),
  ];
  for (const name of allowed) expect(isNagiosHostName(name), name).toBe(true);
});

test('what Nagios forbids in names, or could end one of its commands, does not name a Nagios host', () => {
  for (const character of '`~!$%^&*"|\'<>?,()=;\n\r\t\0\u007f\u0085\u2028\ud800') {
    expect(isNagiosHostName(`a${character}b`), JSON.stringify(character)).toBe(false);
  }
  for (const name of ['', ' ', ' a', 'a ', '\u00a0a', 'x'.repeat(256), null, 7, ['a']]) {
    expect(isNagiosHostName(name), JSON.stringify(name)).toBe(false);
  }
});

test('the API accepts as a Nagios host what a message may name, and nothing else', () => {
  const { components } = parseYaml(readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8'));
  const pattern = new RegExp(components.schemas.NagiosHostName.pattern, 'u');
  const names = ['a b', ' a', 'a ', 'x'.repeat(255), 'x'.repeat(256), ''];
  for (let code = 0; code < 0x3000; code++)
    names.push(String.fromCodePoint(code), `a${String.fromCodePoint(code)}b`);
  for (const name of names) expect(pattern.test(name), JSON.stringify(name)).toBe(isNagiosHostName(name));
});
