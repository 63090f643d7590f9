import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Listening, listen } from '../../../src/api/server.ts';
import { type CertificateAuthority, makeCertificateAuthority } from '../../support/certificates.ts';
import { freshDirectory, until } from '../../support/process.ts';

const directory = freshDirectory('listen');
const files = { certFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') };
const lines: string[] = [];
const log = pino({ level: 'info' }, { write: line => void lines.push(line) });
let authority: CertificateAuthority;
let listening: Listening;

beforeAll(async () => {
  authority = await makeCertificateAuthority();
  await renew();
  listening = await listen(
    (_request, response) => void response.end('ok'),
    { host: '127.0.0.1', port: 0, tls: files },
    log,
  );
});
afterAll(() => listening?.close());

/** @returns serial number of the certificate that lies in the files now */
async function renew(): Promise<string> {
  const { certificate, key } = await authority.issue();
  writeFileSync(files.certFile, `${certificate}\n${authority.certificate}\n`);
  writeFileSync(files.keyFile, key);
  return new X509Certificate(certificate).serialNumber;
}

/** @returns serial number of the certificate that a new connection is given */
function served(): Promise<string> {
  const port = Number(new URL(listening.url).port);
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port, servername: 'localhost', ca: authority.certificate },
      () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      },
    );
    socket.once('error', reject);
  });
}

test('a renewed certificate counts for the next connection, and a broken one leaves the old in place', async () => {
  const before = await served();
  const renewed = await renew();
  expect(renewed).not.toBe(before);
  await until('the new certificate', async () => (await served()) === renewed);

  writeFileSync(files.certFile, 'not a certificate');
  await until('the complaint', () => lines.some(line => line.includes('the old one stays')));
  expect(await served()).toBe(renewed);

  const { key } = await authority.issue();
  lines.length = 0;
  const another = await authority.issue();
  writeFileSync(files.certFile, another.certificate);
  writeFileSync(files.keyFile, key);
  await until('the complaint', () => lines.some(line => line.includes('the old one stays')));
  expect(await served()).toBe(renewed);

  const mended = await renew();
  await until('the repaired certificate', async () => (await served()) === mended);
});

test('files that cannot be used keep it from starting', async () => {
  const tls = { certFile: files.certFile, keyFile: join(directory, 'missing.key') };
  await expect(listen(() => {}, { host: '127.0.0.1', port: 0, tls }, log)).rejects.toThrow(/missing.key/);
});
