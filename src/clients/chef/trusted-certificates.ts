import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../domain/errors.ts';

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * The certificates of a file, PEM (one or more) or DER, each as PEM.
 * @throws AppError `invalid`, naming the file
 */
export function readCertificates(file: string): string[] {
  const content = read(file);
  const blocks = content.toString('latin1').match(PEM) ?? [content];
  try {
    return blocks.map(block => new X509Certificate(block).toString());
  } catch {
    throw new AppError('invalid', `${file} is not a certificate (PEM)`);
  }
}

/**
 * The certificates that knife trusts besides the known authorities; none if there is no such folder.
 * @param folder `~/.chef/trusted_certs`, where `knife ssl fetch` saves them as `*.crt`; `*.pem` counts too
 * @throws AppError `invalid`, naming the file
 */
export function readTrustedCerts(folder: string): string[] {
  const files = names(folder).filter(name => /\.(crt|pem)$/.test(name));
  return files.sort().flatMap(name => readCertificates(join(folder, name)));
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new AppError('invalid', `cannot read the trusted certificates in ${folder} (${codeOf(error)})`);
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new AppError('invalid', `cannot read ${file} (${codeOf(error)})`);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : 'unreadable';
}
