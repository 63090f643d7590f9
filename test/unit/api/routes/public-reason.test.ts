import fc from 'fast-check';
import { expect, test } from 'vitest';
import { publicReason } from '../../../../src/api/routes/public-reason.ts';
import { RedisFault, redisFault } from '../../../../src/clients/redis/fault.ts';
import { AppError, type ErrorCode, HTTP_STATUS } from '../../../../src/domain/errors.ts';

const withCode = (message: string, code: string) => Object.assign(new Error(message), { code });

test.each<[unknown, string]>([
  [
    withCode('connect ECONNREFUSED 10.0.0.1:443', 'ECONNREFUSED'),
    'unreachable: connection refused (ECONNREFUSED)',
  ],
  [
    withCode('getaddrinfo ENOTFOUND chef.internal', 'ENOTFOUND'),
    'unreachable: host name not found (ENOTFOUND)',
  ],
  [
    withCode('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'),
    'unreachable: certificate not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)',
  ],
  [
    new AggregateError([withCode('connect ECONNREFUSED ::1:443', 'ECONNREFUSED')]),
    'unreachable: connection refused (ECONNREFUSED)',
  ],
  [new DOMException('The operation timed out', 'TimeoutError'), 'unreachable: no answer (ETIMEDOUT)'],
  [
    new AppError('unavailable', 'the archive /srv/archive', { cause: withCode('no space', 'ENOSPC') }),
    'refused: no space left (ENOSPC)',
  ],
  [new AppError('credentials', 'the Chef server does not accept janitor'), 'refused: wrong credentials'],
  [
    new AppError('permission', 'AWS does not allow sqs:GetQueueAttributes on arn'),
    'refused: missing permission',
  ],
  [
    new AppError('unavailable', 'Chef server GET https://chef.internal answered 502'),
    'unreachable: the log says why',
  ],
  [redisFault(new Error("OOM command not allowed when used memory > 'maxmemory'.")), 'refused: full (OOM)'],
  ['a text', 'unreachable: the log says why'],
])('%s is shown to strangers as %s', (error, reason) => {
  expect(publicReason(error)).toBe(reason);
});

test('no name, address or path of an error is shown to strangers', () => {
  const name = fc.stringMatching(/^[a-z0-9./:-]{6,30}$/);
  const code = fc.constantFrom(
    'ECONNREFUSED',
    'ENOTFOUND',
    'CERT_HAS_EXPIRED',
    'EACCES',
    'EWHATEVER',
    undefined,
  );
  const error = fc.oneof(
    fc.tuple(name, code).map(([text, code]) => Object.assign(new Error(text), code && { code })),
    fc
      .tuple(name, code)
      .map(([text, code]) => new Error(text, { cause: Object.assign(new Error(text), { code }) })),
    fc
      .tuple(fc.constantFrom(...(Object.keys(HTTP_STATUS) as ErrorCode[])), name)
      .map(([code, text]) => new AppError(code, text, { cause: new Error(text) })),
    name.map(text => new RedisFault('away', { cause: new Error(text) })),
    name.map(text => Object.assign(new Error('x'), { code: text })),
    name,
  );
  fc.assert(
    fc.property(error, error => {
      const reason = publicReason(error);
      expect(reason).toMatch(/^(unreachable|refused): [a-zA-Z ]+( \([A-Z_]+\))?$/);
      const text = error instanceof Error ? `${error.message} ${'code' in error ? error.code : ''}` : error;
      for (const part of text.split(' ').filter(part => /[./:0-9]/.test(part)))
        expect(reason).not.toContain(part);
    }),
  );
});
