import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRedisUrl, type RedisAddress, type RedisTarget } from '../../../../src/clients/redis/url.ts';
import { AppError } from '../../../../src/domain/errors.ts';

const port = fc.integer({ min: 1, max: 65_535 });
const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
const address = fc.record({ host, port });
const addresses = fc.array(address, { minLength: 1, maxLength: 5 });
const secret = fc.string({ minLength: 1, unit: 'grapheme' });
const access = fc
  .record({ tls: fc.boolean(), username: secret, password: secret }, { requiredKeys: ['tls', 'password'] })
  .chain(both => fc.constantFrom(both, { tls: both.tls }));
const db = fc.nat(99);
const target: fc.Arbitrary<RedisTarget> = fc
  .oneof(
    fc.tuple(access, fc.record({ kind: fc.constant('single' as const), address, db })),
    fc.tuple(
      access,
      fc.record(
        {
          kind: fc.constant('sentinel' as const),
          sentinels: addresses,
          master: secret,
          db,
          sentinelPassword: secret,
        },
        { requiredKeys: ['kind', 'sentinels', 'master', 'db'] },
      ),
    ),
    fc.tuple(access, fc.record({ kind: fc.constant('cluster' as const), nodes: addresses })),
  )
  .map(([who, where]) => ({ ...who, ...where }));

const written = (each: RedisAddress) =>
  `${each.host.includes(':') ? `[${each.host}]` : each.host}:${each.port}`;

/** In any case: RFC 3986, section 3.1. */
const scheme = fc.constantFrom('redis', 'Redis', 'REDIS', 'valkey', 'VALKEY');

function write(it: RedisTarget, name = 'redis'): string {
  const e = encodeURIComponent;
  const user = it.password === undefined ? '' : `${e(it.username ?? '')}:${e(it.password)}@`;
  const scheme = `${name}${it.tls ? 's' : ''}`;
  switch (it.kind) {
    case 'single':
      return `${scheme}://${user}${written(it.address)}/${it.db}`;
    case 'sentinel': {
      const query = it.sentinelPassword === undefined ? '' : `?sentinel-password=${e(it.sentinelPassword)}`;
      return `${scheme}+sentinel://${user}${it.sentinels.map(written)}/${e(it.master)}/${it.db}${query}`;
    }
    case 'cluster':
      return `${scheme}+cluster://${user}${it.nodes.map(written)}`;
  }
}

const fault = (text: string) => {
  try {
    return parseRedisUrl(text);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.message;
  }
};

test('whatever is written as a Redis URL is read as it was meant', () => {
  fc.assert(
    fc.property(target, scheme, (it, name) => void expect(parseRedisUrl(write(it, name))).toEqual(it)),
  );
});

test('a password that is not percent-encoded is read as it was meant, or each character to encode is named with its code', () => {
  const plain = fc.stringMatching(/^[a-z0-9]{8}$/);
  const special = fc.string({ unit: fc.constantFrom(...'/?#@:%!$&+=,; [](){}"ü'), maxLength: 6 });
  const password = fc.tuple(plain, special, plain).map(parts => parts.join(''));
  const where = fc.constantFrom('host', 'host:7/3', '[::1]:7', 'a:7,b:8/main', 'a:7,b:8');
  const mode = fc.constantFrom('redis', 'redis+sentinel', 'valkeys+cluster');
  fc.assert(
    fc.property(mode, password, where, (scheme, secret, rest) => {
      const reference = fault(`${scheme}://:${encodeURIComponent(secret)}@${rest}`);
      const read = fault(`${scheme}://:${secret}@${rest}`);
      const reserved = [...'/?#'].filter(character => secret.includes(character));
      for (const character of reserved)
        expect(read).toContain(`${character} as ${encodeURIComponent(character)}`);
      if (reserved.length === 0 && !secret.includes('%')) expect(read).toEqual(reference);
      if (reserved.length === 0 && typeof read === 'string' && typeof reference !== 'string')
        expect(read).toContain('%25');
      if (typeof read === 'string')
        for (const part of [secret.slice(0, 8), secret.slice(-8)]) expect(read).not.toContain(part);
    }),
    { numRuns: 2_000 },
  );
});

test('any text is read or refused, and a refusal does not tell the password', () => {
  const secretPart = fc.stringMatching(/^[a-z0-9]{12}$/);
  const around = fc.string({
    unit: fc.constantFrom(...'redis+snlcut:/,@?#%[]. 10'.split('')),
    maxLength: 20,
  });
  fc.assert(
    fc.property(
      fc.constantFrom('redis://', 'rediss+cluster://', ''),
      around,
      secretPart,
      around,
      (scheme, a, hidden, b) => {
        const outcome = fault(`${scheme}${a}:${hidden}@${b}`);
        if (typeof outcome === 'string') expect(outcome).not.toContain(hidden);
      },
    ),
    { numRuns: 1_000 },
  );
});

describe('a Redis URL', () => {
  test('may leave out ports and database', () => {
    expect(parseRedisUrl('redis://cache')).toEqual({
      kind: 'single',
      tls: false,
      address: { host: 'cache', port: 6379 },
      db: 0,
    });
    expect(parseRedisUrl('rediss+sentinel://a,b:7/main')).toEqual({
      kind: 'sentinel',
      tls: true,
      sentinels: [
        { host: 'a', port: 26379 },
        { host: 'b', port: 7 },
      ],
      master: 'main',
      db: 0,
    });
    expect(parseRedisUrl('redis+cluster://a,b:7')).toMatchObject({
      nodes: [
        { host: 'a', port: 6379 },
        { host: 'b', port: 7 },
      ],
    });
  });

  test('takes what may stand in a password as it is, and a + in the Sentinels’ own as a +', () => {
    expect(parseRedisUrl('redis://user:p@ss:w+rd@h')).toMatchObject({
      username: 'user',
      password: 'p@ss:w+rd',
    });
    expect(parseRedisUrl('redis+sentinel://h/main?sentinel-password=a+b%26@')).toMatchObject({
      sentinelPassword: 'a+b&@',
    });
  });

  test.each([
    ['', /must be redis:/],
    ['http://h', /must be redis:/],
    ['redis+other://h', /must be redis:/],
    ['redis://', /must be redis:/],
    ['redis://h:0', /host/],
    ['redis://h:65536', /host/],
    ['redis://a,b', /several hosts/],
    ['redis://h/one', /database/],
    ['redis://h/1/2', /database/],
    ['redis://h?tls=no', /after \?/],
    ['redis://user@h', /no password/],
    ['redis://:%zz@h', /%25/],
    ['redis+sentinel://h', /master/],
    ['redis+sentinel://h/main/0/1', /master/],
    ['redis+sentinel://h,/main', /host/],
    ['redis+cluster://h/1', /no databases/],
    ['redis+cluster://h?sentinel-password=p', /after \?/],
    ['rediss://:made#up@h:6379', /write # as %23$/],
    ['redis://:made/up@h:6379/0', /write \/ as %2F$/],
    ['redis://:made?up@h:6379/0', /write \? as %3F$/],
    ['redis://user:12/34@h:6379/0', /write \/ as %2F$/],
    ['redis://user:12?34@h', /write \? as %3F$/],
    ['redis+sentinel://user:12/34@a,b/main', /write \/ as %2F$/],
    ['redis+sentinel://a/main?sentinel-password=made#up', /write # as %23$/],
    ['redis://:a/b?c#d@h', /write \/ as %2F, \? as %3F, # as %23$/],
  ])('%s is refused', (text, why) => {
    expect(fault(text)).toMatch(why);
  });
});
