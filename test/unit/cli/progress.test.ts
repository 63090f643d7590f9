import { expect, test } from 'vitest';
import { countingBar } from '../../../src/cli/progress.ts';

function shown(isTTY: boolean): string {
  let text = '';
  const bar = countingBar({ isTTY, write: more => (text += more) }, 'nodes');
  for (const done of [1, 2, 3]) bar(done, 3);
  return text;
}

test('on a terminal a bar tells how much is done, on one line that it ends', () => {
  const lines = shown(true).split('\n');
  expect(lines).toHaveLength(2);
  const states = (lines[0] ?? '').split('\r').slice(1);
  expect(states).toHaveLength(3);
  expect(states[0]).toMatch(/^\[█{8}░{16}\] 33 % {2}1 of 3 nodes/);
  expect(states[2]).toMatch(/^\[█{24}\] 100 % {2}3 of 3 nodes/);
});

test('where nobody looks there is none', () => {
  expect(shown(false)).toBe('');
});
