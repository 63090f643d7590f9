import { expect, test } from 'vitest';
import { readArguments } from '../../../src/cli/arguments.ts';

test('the version is shown when it is asked for', () => {
  expect(readArguments(['--version'])).toEqual({ command: 'version' });
});

test.each([
  [['help', 'jobs'], 'jobs'],
  [['jobs', '--help'], 'jobs'],
  [['help'], undefined],
  [['--help'], undefined],
  [[], undefined],
])('%j shows the help of %s', (args, about) => {
  expect(readArguments(args)).toEqual({ command: 'help', about });
});
