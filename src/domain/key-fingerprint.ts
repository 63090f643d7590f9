import { createHash, createPublicKey } from 'node:crypto';

/**
 * Identifies a public key, however its text is written (PKCS#1 or SPKI, line length, certificate): base64url of the
 * SHA-256 of its DER-encoded SPKI. A text that is not a readable key is hashed as it stands, so that two such keys are
 * equal only if their texts are.
 * @param publicKey PEM
 */
export function keyFingerprint(publicKey: string): string {
  return createHash('sha256').update(spki(publicKey)).digest('base64url');
}

function spki(publicKey: string): Buffer | string {
  try {
    return createPublicKey(publicKey).export({ type: 'spki', format: 'der' });
  } catch {
    return publicKey;
  }
}
