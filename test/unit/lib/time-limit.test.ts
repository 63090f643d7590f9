import { expect, test } from 'vitest';
import { withTimeLimit } from '../../../src/lib/time-limit.ts';

const never = new Promise<string>(() => {});

test('work that ends in time gives its value, and its error', async () => {
  expect(await withTimeLimit(Promise.resolve('done'), 60_000, () => 'late')).toBe('done');
  await expect(withTimeLimit(Promise.reject(new Error('no')), 60_000, () => 'late')).rejects.toThrow('no');
});

test('work that takes longer gives what is given for that', async () => {
  expect(await withTimeLimit(never, 1, () => 'late')).toBe('late');
});

test('what is thrown for work that takes longer reaches the caller', async () => {
  const late = () => {
    throw new Error('no answer');
  };
  await expect(withTimeLimit(never, 1, late)).rejects.toThrow('no answer');
});
