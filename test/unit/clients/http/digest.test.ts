import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerDigest, readDigestChallenge } from '../../../../src/clients/http/digest.ts';

const nonce = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v';
const opaque = 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS';
const parameters = (algorithm: string) =>
  `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="${nonce}", opaque="${opaque}"`;
const answer = {
  method: 'GET',
  uri: '/dir/index.html',
  username: 'Mufasa',
  password: 'Circle of Life',
  count: 1,
  cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
};

describe('HTTP digest authentication', () => {
  test.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ])('gives the answer of RFC 7616 section 3.9.1 with %s', (algorithm, response) => {
    const challenge = readDigestChallenge(parameters(algorithm));
    expect(challenge).toMatchObject({ algorithm, nonce, opaque, qop: 'auth' });
    if (!challenge) return;
    const said = answerDigest(challenge, answer);
    expect(said).toContain(`response="${response}"`);
    expect(said).toMatch(/, nc=00000001, cnonce="[^"]+", qop=auth, /);
    expect(said).toContain(`opaque="${opaque}"`);
  });

  test('prefers SHA-256 where both are offered, in either order and beside Basic', () => {
    const both = [`Basic realm="a, Digest b"`, parameters('MD5'), parameters('SHA-256')];
    expect(readDigestChallenge(both.join(', '))?.algorithm).toBe('SHA-256');
    expect(readDigestChallenge(both.reverse().join(', '))?.algorithm).toBe('SHA-256');
  });

  test('answers a server that offers no qop as RFC 2069 has it', () => {
    const challenge = readDigestChallenge(
      'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"',
    );
    expect(challenge?.qop).toBeUndefined();
    if (!challenge) return;
    const said = answerDigest(challenge, { ...answer, password: 'CircleOfLife' });
    expect(said).toContain('response="1949323746fe6a43ef61f9606e7febea"');
    expect(said).not.toMatch(/\b(?:nc|cnonce|qop)=/);
  });

  test('does not answer what it cannot: auth-int alone, session variants, other schemes', () => {
    expect(readDigestChallenge('Digest realm="r", nonce="n", qop="auth-int"')).toBeUndefined();
    expect(
      readDigestChallenge('Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess'),
    ).toBeUndefined();
    expect(readDigestChallenge('Negotiate')).toBeUndefined();
  });

  test('reads whatever stands in quotes', () => {
    fc.assert(
      fc.property(fc.string(), realm => {
        const quoted = realm.replace(/["\\]/g, '\\$&');
        expect(readDigestChallenge(`Digest nonce="n", realm="${quoted}", qop="auth"`)?.realm).toBe(realm);
      }),
    );
  });
});
