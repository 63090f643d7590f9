import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { openClients } from '../../../../src/app/clients.ts';
import { ShutdownStack } from '../../../../src/app/shutdown.ts';
import { ChefClient } from '../../../../src/clients/chef/client.ts';
import { readCertificates, readTrustedCerts } from '../../../../src/clients/chef/trusted-certificates.ts';
import { HttpClient } from '../../../../src/clients/http/request.ts';
import { readSettings } from '../../../../src/config.ts';
import { type Certificate, makeCertificateAuthority, makeSelfSigned } from '../../../support/certificates.ts';
import { type ChefServer, startChefServer } from '../../../support/chef-server.ts';
import { freshDirectory } from '../../../support/process.ts';

const DAY_MS = 86_400_000;

/** A Chef server with this certificate, and what a client says that trusts these. */
async function serve({ certificate: cert, key }: Certificate): Promise<ChefServer> {
  const server = await startChefServer({ tls: { cert, key } });
  onTestFinished(() => server.stop());
  return server;
}

async function probe({ url, adminName, adminKey }: ChefServer, trusted: string[]): Promise<void> {
  const chef = new ChefClient({ url, clientName: adminName, key: adminKey, trusted });
  try {
    await chef.probe();
  } finally {
    await chef.close();
  }
}

describe('the certificate of a Chef server', () => {
  test('that is self-signed is refused with what to do, and accepted once it is trusted', async () => {
    const own = await makeSelfSigned();
    const server = await serve(own);
    await expect(probe(server, [])).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        /certificate is not trusted, since it is self-signed: set CHEF_CA_FILE to .*knife ssl fetch .*trusted_certs/,
      ),
    });
    await probe(server, [own.certificate]);
    const other = await makeSelfSigned();
    await expect(probe(server, [other.certificate])).rejects.toThrow(/CHEF_CA_FILE/);
  });

  test('of an authority that is not known is refused, and accepted by that authority or by itself alone', async () => {
    const authority = await makeCertificateAuthority();
    const own = await authority.issue();
    const server = await serve(own);
    await expect(probe(server, [])).rejects.toThrow(/its authority is not known here.*CHEF_CA_FILE/);
    await probe(server, [authority.certificate]);
    await probe(server, [own.certificate]);
  });

  test('of an authority that Node trusts is still accepted when others are trusted besides', async () => {
    const authority = await makeCertificateAuthority();
    onTestFinished(authority.trust());
    const server = await serve(await authority.issue());
    await probe(server, [(await makeSelfSigned()).certificate]);
  });

  test.each([
    [
      'is for another host name',
      { address: false },
      /certificate is for another host name \(.*127\.0\.0\.1.*\): use a name of the certificate in the URL/,
    ],
    [
      'has expired',
      { notBefore: new Date(Date.now() - 9 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) },
      /certificate has expired: renew it on the server/,
    ],
    [
      'is not valid yet',
      { notBefore: new Date(Date.now() + DAY_MS) },
      /not valid yet: set this host's clock right/,
    ],
  ])('that %s is distinguished, and no file helps', async (_, options, words) => {
    const own = await makeSelfSigned(options);
    const fault = probe(await serve(own), [own.certificate]);
    await expect(fault).rejects.toThrow(words);
    await expect(fault).rejects.not.toThrow(/CHEF_CA_FILE/);
  });
});

describe('the service', () => {
  /** What the settings of a service make of it. */
  async function probeBySettings(env: Record<string, string>): Promise<void> {
    const closing = new ShutdownStack(() => {});
    try {
      const { chef } = await openClients(readSettings(env), closing);
      await chef.probe();
    } finally {
      await closing.close();
    }
  }

  function inFile(content: string | Buffer): string {
    const file = join(freshDirectory('certificates'), 'ca.pem');
    writeFileSync(file, content);
    return file;
  }

  test('trusts the certificates of CHEF_CA_FILE', async () => {
    const own = await makeSelfSigned();
    const { url, adminName, adminKey } = await serve(own);
    const env = { CHEF_SERVER_URL: url, CHEF_CLIENT_NAME: adminName, CHEF_CLIENT_KEY: adminKey };
    await expect(probeBySettings(env)).rejects.toThrow(/set CHEF_CA_FILE/);
    const others = (await makeSelfSigned()).certificate;
    const CHEF_CA_FILE = inFile(`a comment\n${others}\n${own.certificate}`);
    await probeBySettings({ ...env, CHEF_CA_FILE });
  });

  test('trusts what knife trusts where it takes its credentials from knife', async () => {
    const own = await makeSelfSigned();
    const { url, adminName, adminKey } = await serve(own);
    const home = freshDirectory('home');
    vi.stubEnv('HOME', home);
    onTestFinished(() => void vi.unstubAllEnvs());
    mkdirSync(join(home, '.chef'));
    const credentials = { default: { client_name: adminName, client_key: adminKey, chef_server_url: url } };
    writeFileSync(join(home, '.chef/credentials'), stringify(credentials));
    await expect(probeBySettings({})).rejects.toThrow(
      new RegExp(`run knife ssl fetch, which saves it in ${home}/.chef/trusted_certs, or set CHEF_CA_FILE`),
    );
    mkdirSync(join(home, '.chef/trusted_certs'));
    const saved = join(home, '.chef/trusted_certs/chef_example_com.crt');
    writeFileSync(saved, own.certificate);
    await probeBySettings({});
    writeFileSync(saved, 'not a certificate');
    await expect(probeBySettings({})).rejects.toThrow(`${saved} is not a certificate`);
    await expect(probeBySettings({ CHEF_CA_FILE: inFile(own.certificate) })).rejects.toThrow(saved);
  });

  test.each([
    ['that does not exist', () => '/nowhere/ca.pem', 'CHEF_CA_FILE: cannot read /nowhere/ca.pem (ENOENT)'],
    ['without a certificate', () => inFile('nothing'), 'is not a certificate (PEM)'],
    [
      'with a damaged certificate',
      () => inFile('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'),
      'is not a certificate',
    ],
  ])('refuses a CHEF_CA_FILE %s', async (_, file, words) => {
    await expect(probeBySettings({ CHEF_CA_FILE: file() })).rejects.toMatchObject({
      name: 'SettingsError',
      faults: [expect.stringContaining(words)],
    });
  });
});

describe('the folder trusted_certs', () => {
  test('may be missing, and only its *.crt and *.pem count', async () => {
    const folder = freshDirectory('trusted');
    expect(readTrustedCerts(join(folder, 'nowhere'))).toEqual([]);
    expect(readTrustedCerts(folder)).toEqual([]);
    const [one, other] = [await makeSelfSigned(), await makeSelfSigned()];
    writeFileSync(join(folder, 'a.crt'), one.certificate);
    writeFileSync(join(folder, 'b.pem'), `${other.certificate}\n${one.certificate}`);
    writeFileSync(join(folder, 'README.txt'), 'not a certificate');
    const names = readTrustedCerts(folder).map(pem => new X509Certificate(pem).fingerprint256);
    const expected = [one, other, one].map(
      ({ certificate }) => new X509Certificate(certificate).fingerprint256,
    );
    expect(names).toEqual(expected);
  });

  test('may have certificates in DER', async () => {
    const { certificate } = await makeSelfSigned();
    const file = join(freshDirectory('trusted'), 'der.crt');
    writeFileSync(file, new X509Certificate(certificate).raw);
    expect(readCertificates(file).map(pem => new X509Certificate(pem).fingerprint256)).toEqual([
      new X509Certificate(certificate).fingerprint256,
    ]);
  });
});

test('of any other service whose certificate is not trusted is said to set NODE_EXTRA_CA_CERTS', async () => {
  const { url } = await serve(await makeSelfSigned());
  const http = new HttpClient({
    service: 'Nagios',
    timeoutMs: 5_000,
    attempts: 1,
    connections: 1,
    maxBytes: 1_000,
  });
  onTestFinished(() => http.close());
  const asked = http.request({ method: 'GET', url: new URL(url), repeatable: true });
  await expect(asked).rejects.toThrow(/Nagios GET .*self-signed: set NODE_EXTRA_CA_CERTS/);
});
