import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AppError, type ErrorCode } from '../../../src/domain/errors.ts';
import { fateOf } from '../../../src/jobs/retry.ts';

const fate = (code: ErrorCode, attempts = 1) => fateOf(new AppError(code, 'x'), attempts).kind;

test.each([
  ['unavailable', 'retry'],
  ['credentials', 'retry'],
  ['conflict', 'retry'],
  ['not-found', 'retry'],
  ['permission', 'fail'],
  ['rejected', 'fail'],
  ['invalid', 'fail'],
  ['other-instance', 'hold'],
] as [ErrorCode, string][])('%s: %s', (code, kind) => expect(fate(code)).toBe(kind));

test('an error that nobody foresaw is tried again, and given up after 30 attempts', () => {
  expect(fateOf(new TypeError('x'), 29).kind).toBe('retry');
  expect(fateOf(new TypeError('x'), 30).kind).toBe('fail');
  expect(fateOf('text', 1).kind).toBe('retry');
});

test('what waits for a person is held at any attempt', () =>
  expect(fate('other-instance', 1_000)).toBe('hold'));

test('a wait that the service asked for is kept to', () => {
  expect(fateOf(new AppError('unavailable', 'x', { retryAfterMs: 7_000 }), 1)).toEqual({
    kind: 'retry',
    delayMs: 7_000,
  });
});

test('waits double from a second to five minutes, spread over half their length', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 29 }), attempts => {
      const full = Math.min(300_000, 1_000 * 2 ** (attempts - 1));
      const fate = fateOf(new AppError('unavailable', 'x'), attempts);
      expect(fate).toMatchObject({ kind: 'retry' });
      const { delayMs } = fate as { delayMs: number };
      expect(delayMs).toBeGreaterThanOrEqual(full / 2);
      expect(delayMs).toBeLessThanOrEqual(full);
    }),
  );
});
