import fc from 'fast-check';
import { expect, test } from 'vitest';
import { globToRegExp, isGlob, isOurHook } from '../../../src/domain/glob.ts';

test.each([
  ['*', 'web-asg', 'deregister', true],
  ['deregister', 'web-asg', 'deregister', true],
  ['deregister', 'web-asg', 'deregister-2', false],
  ['dereg*', 'web-asg', 'deregister-2', true],
  ['web-asg/deregister', 'web-asg', 'deregister', true],
  ['web-asg/deregister', 'db-asg', 'deregister', false],
  ['web-*/*', 'web-asg', 'deregister', true],
  ['web-*/*', 'db-asg', 'deregister', false],
  ['*/chef-?', 'web-asg', 'chef-1', true],
  ['web-asg', 'web-asg', 'deregister', false],
  ['a.b', 'web-asg', 'axb', false],
])('%s against hook %s/%s: %s', (glob, group, hook, ours) => {
  expect(isOurHook([glob], { group, hook })).toBe(ours);
  expect(isOurHook(['another', glob], { group, hook })).toBe(ours);
});

test('no hook is ours without a pattern', () => {
  expect(isOurHook([], { group: 'web-asg', hook: 'deregister' })).toBe(false);
});

test('a text without wildcards matches itself only', () => {
  const plain = fc.string().map(text => text.replace(/[*?[\]]/g, ''));
  fc.assert(
    fc.property(plain, plain, (glob, text) => {
      expect(isGlob(glob)).toBe(true);
      expect(globToRegExp(glob).test(text)).toBe(glob === text);
      expect(globToRegExp(glob).test(glob)).toBe(true);
    }),
  );
});

test('a pattern can be read or is refused by the settings', () => {
  expect(['a[bc]', '[', 'a]', '[b-a]'].map(isGlob)).toEqual([true, false, true, false]);
});
