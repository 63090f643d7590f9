import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { generate } from 'selfsigned';
import { freshDirectory } from './process.ts';

/** PEM, both. */
export interface Certificate {
  certificate: string;
  key: string;
}

export interface CertificateOptions {
  /** Subject CN. @default `localhost` */
  commonName?: string;
  /** Now by default. */
  notBefore?: Date;
  /** A year after `notBefore` by default: an earlier day than today makes an expired one. */
  notAfter?: Date;
  /** Whether it is for 127.0.0.1 as well. @default yes */
  address?: boolean;
}

export interface CertificateAuthority extends Certificate {
  /** The authority's certificate as a PEM file, for NODE_EXTRA_CA_CERTS of a service started as its own process. */
  readonly file: string;
  /** A certificate for localhost, and 127.0.0.1 by default, with an RSA key, whatever its CN. */
  issue(options?: CertificateOptions): Promise<Certificate>;
  /** Makes this process trust the authority, as NODE_EXTRA_CA_CERTS would have at its start; undone by what it gives back. */
  trust(): () => void;
}

/** A certificate authority of its own. */
export async function makeCertificateAuthority(): Promise<CertificateAuthority> {
  const authority = await make({ commonName: 'Test authority' }, { authority: true });
  const file = join(freshDirectory('certificates'), 'ca.pem');
  writeFileSync(file, authority.certificate);
  return {
    ...authority,
    file,
    issue: (options = {}) => make(options, { signedBy: authority }),
    trust: () => {
      const before = getCACertificates('default');
      setDefaultCACertificates([...before, authority.certificate]);
      return () => setDefaultCACertificates(before);
    },
  };
}

/** A certificate that nobody but itself vouches for. */
export function makeSelfSigned(options: CertificateOptions = {}): Promise<Certificate> {
  return make(options, {});
}

async function make(
  { commonName = 'localhost', notBefore, notAfter, address = true }: CertificateOptions,
  { authority = false, signedBy }: { authority?: boolean; signedBy?: Certificate },
): Promise<Certificate> {
  const made = await generate([{ name: 'commonName', value: commonName }], {
    algorithm: 'sha256',
    ...(notBefore && { notBeforeDate: notBefore }),
    ...(notAfter && { notAfterDate: notAfter }),
    ...(signedBy && { ca: { key: signedBy.key, cert: signedBy.certificate } }),
    extensions: authority
      ? [
          { name: 'basicConstraints', cA: true, critical: true },
          { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
        ]
      : [
          { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
          {
            name: 'subjectAltName',
            altNames: [
              { type: 2, value: 'localhost' },
              ...(address ? [{ type: 7, ip: '127.0.0.1' } as const] : []),
            ],
          },
        ],
  });
  return { certificate: made.cert, key: made.private };
}
