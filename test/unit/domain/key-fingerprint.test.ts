import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyFingerprint } from '../../../src/domain/key-fingerprint.ts';
import { makeSelfSigned } from '../../support/certificates.ts';

const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();

test('the fingerprint of a key is the SHA-256 of its SPKI in DER, as base64url', () => {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  expect(keyFingerprint(pem)).toBe(createHash('sha256').update(der).digest('base64url'));
  expect(keyFingerprint(pem)).toMatch(/^[\w-]{43}$/);
});

test('the same key has the same fingerprint in PKCS#1, SPKI, and with other line breaks', () => {
  const pkcs1 = publicKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  const texts = [pkcs1, pem.replaceAll('\n', '\r\n'), `\n${pem}\n\n`, pem.trim()];
  expect(new Set(texts.map(keyFingerprint))).toEqual(new Set([keyFingerprint(pem)]));
});

test('a certificate has the fingerprint of the key in it', async () => {
  const { certificate } = await makeSelfSigned();
  const inside = createPublicKey(certificate).export({ type: 'spki', format: 'pem' }).toString();
  expect(keyFingerprint(certificate)).toBe(keyFingerprint(inside));
});

test('a text that is not a readable key is hashed as it stands, so that only equal texts are equal', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(text, text, (one, other) => {
      expect(keyFingerprint(one)).toBe(createHash('sha256').update(one).digest('base64url'));
      expect(keyFingerprint(one) === keyFingerprint(other)).toBe(one === other);
    }),
  );
});
