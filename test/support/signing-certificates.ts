import { randomBytes } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { CertificateAuthority } from './certificates.ts';

export interface SigningCertificates {
  /** `localhost:PORT`, for SNS_CERT_HOSTS. */
  readonly host: string;
  /** Serves a PEM, or whatever a listener answers, at a new URL of SNS's form, and gives that URL. */
  serve(answer: string | RequestListener): string;
  /** Requests so far: for one URL, or in all. */
  fetches(url?: string): number;
  stop(): Promise<void>;
}

/** The HTTPS server that SigningCertURL names, on 127.0.0.1. */
export async function serveSigningCertificates(
  authority: CertificateAuthority,
): Promise<SigningCertificates> {
  const { certificate, key } = await authority.issue();
  const answers = new Map<string, string | RequestListener>();
  const asked: string[] = [];
  const server = createServer({ cert: certificate, key }, (request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const answer = answers.get(path);
    if (typeof answer === 'function') answer(request, response);
    else response.writeHead(answer === undefined ? 404 : 200).end(answer);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const host = `localhost:${typeof address === 'object' ? address?.port : address}`;
  return {
    host,
    serve: answer => {
      const path = `/SimpleNotificationService-${randomBytes(16).toString('hex')}.pem`;
      answers.set(path, answer);
      return `https://${host}${path}`;
    },
    fetches: url => asked.filter(path => url === undefined || `https://${host}${path}` === url).length,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
