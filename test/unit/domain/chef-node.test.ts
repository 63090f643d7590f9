import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attribute, ohaiTime } from '../../../src/domain/chef-node.ts';

test('an attribute comes from the highest level that has it: automatic, override, normal, default', () => {
  const levels = ['automatic', 'override', 'normal', 'default'];
  fc.assert(
    fc.property(fc.subarray(levels, { minLength: 1 }), set => {
      const node = {
        name: 'web-1',
        ...Object.fromEntries(set.map(level => [level, { ec2: { id: level } }])),
      };
      expect(attribute(node, 'ec2.id')).toBe(set[0]);
    }),
  );
});

test('a level that has part of the path, or nil at its end, does not hide the one below', () => {
  const node = { name: 'web-1', automatic: { ec2: { mac: 'x' } }, override: { ec2: { id: null } } };
  expect(attribute({ ...node, default: { ec2: { id: 0 } } }, 'ec2.id')).toBe(0);
});

test.each([
  'ec2',
  'ec2.id',
  'ec2.id.length',
  'list.0',
  'constructor.name',
  '__proto__',
  '',
  '.',
  'text.length',
])('a node without attribute %j has none', path => {
  const node = { name: 'web-1', automatic: { list: ['a'], text: 'a' } };
  expect(attribute(node, path)).toBeUndefined();
  expect(attribute({ name: 'web-1' }, path)).toBeUndefined();
});

test('ohai_time is seconds since 1970, with a fraction', () => {
  const time = ohaiTime({ name: 'web-1', automatic: { ohai_time: 1767225600.25 } });
  expect(time?.toISOString()).toBe('2026-01-01T00:00:00.250Z');
});

test.each([undefined, null, 'soon', Number.NaN, 0, -1, 1e300])('an ohai_time of %s is none', ohai_time => {
  expect(ohaiTime({ name: 'web-1', automatic: { ohai_time } })).toBeUndefined();
});
