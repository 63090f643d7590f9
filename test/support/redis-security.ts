import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CertificateOptions, makeCertificateAuthority } from './certificates.ts';
import { freshDirectory } from './process.ts';

/** TLS and nothing else, and a password for everyone. */
export interface RedisSecurity {
  /** The authority's certificate, for NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
  /** Of user `service`. */
  readonly password: string;
  /** Of the servers among themselves, and of tests that give them orders. */
  readonly serverPassword: string;
  /** Of the Sentinels. */
  readonly sentinelPassword: string;
  /** Settings of a server or Sentinel on this port: TLS only. */
  tls: (port: number) => [name: string, ...values: string[]][];
  /** Settings of a server: its users. */
  readonly users: [name: string, ...values: string[]][];
  /** Of a test's own client. */
  readonly client: { password: string; tls: { ca: string } };
}

/** With characters that a URL must encode. */
const PASSWORD = 'p@ss:w/rd%?#1';

export async function secureRedis(options: CertificateOptions = {}): Promise<RedisSecurity> {
  const authority = await makeCertificateAuthority();
  const { certificate, key } = await authority.issue(options);
  const directory = freshDirectory('redis-security');
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  writeFileSync(certFile, certificate);
  writeFileSync(keyFile, key);
  const [password, serverPassword, sentinelPassword] = [`${PASSWORD}-a`, 'server-b', `${PASSWORD}-c`];
  return {
    caFile: authority.file,
    password,
    serverPassword,
    sentinelPassword,
    tls: port => [
      ['port', '0'],
      ['tls-port', String(port)],
      ['tls-cert-file', certFile],
      ['tls-key-file', keyFile],
      ['tls-ca-cert-file', authority.file],
      ['tls-auth-clients', 'no'],
      ['tls-replication', 'yes'],
    ],
    users: [
      ['requirepass', serverPassword],
      ['masterauth', serverPassword],
      ['user', 'service', 'on', `>${password}`, '~*', '&*', '+@all'],
    ],
    client: { password: serverPassword, tls: { ca: authority.certificate } },
  };
}

/** `service:PASSWORD@`, as a URL has it. */
export function serviceUser({ password }: RedisSecurity): string {
  return `service:${encodeURIComponent(password)}@`;
}
