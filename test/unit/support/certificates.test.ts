import { X509Certificate } from 'node:crypto';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Certificate,
  type CertificateAuthority,
  makeCertificateAuthority,
  makeSelfSigned,
} from '../../support/certificates.ts';

let authority: CertificateAuthority;
beforeAll(async () => {
  authority = await makeCertificateAuthority();
});

const [twoDaysAgo, yesterday] = [2, 1].map(days => new Date(Date.now() - days * 86_400_000)) as [Date, Date];
const server = createServer((_request, response) => response.end());
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** The status of an answer over TLS with this certificate, or the code of the error that TLS ends with. */
async function answer({ certificate: cert, key }: Certificate): Promise<unknown> {
  server.setSecureContext({ cert, key });
  if (!server.listening) await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return new Promise(resolve => {
    request({ host: 'localhost', port, agent: false }, response => resolve(response.resume().statusCode))
      .once('error', error => resolve('code' in error ? error.code : error))
      .end();
  });
}

test('what the authority issues is good in this process while the authority is trusted', async () => {
  const leaf = await authority.issue({ commonName: 'sns.amazonaws.com' });
  expect(new X509Certificate(leaf.certificate).subject).toBe('CN=sns.amazonaws.com');
  expect(await answer(leaf)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  const distrust = authority.trust();
  expect(await answer(leaf)).toBe(200);
  expect(await answer(await makeSelfSigned())).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  expect(await answer(await authority.issue({ notBefore: twoDaysAgo, notAfter: yesterday }))).toBe(
    'CERT_HAS_EXPIRED',
  );
  distrust();
  expect(await answer(leaf)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});
