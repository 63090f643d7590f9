import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface ListenOptions {
  host: string;
  /** 0 picks a free one. */
  port: number;
  /** Paths of certificate chain and private key (PEM): serve HTTPS. */
  tls?: { certFile: string; keyFile: string } | undefined;
}

export interface Listening {
  url: string;
  /** Takes no more connections and resolves when those under way have been answered. */
  close: () => Promise<void>;
}

export async function listen(app: RequestListener, { host, port, tls }: ListenOptions): Promise<Listening> {
  const server = tls
    ? createHttpsServer({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) }, app)
    : createHttpServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return { url: addressOf(server, tls ? 'https' : 'http'), close: () => close(server) };
}

function addressOf(server: Server, scheme: string): string {
  const { address, port, family } = server.address() as AddressInfo;
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
