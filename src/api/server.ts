import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { reloadingCertificate, type TlsFiles } from './tls.ts';

export interface ListenOptions {
  host: string;
  /** 0 picks a free one. */
  port: number;
  /** Serve HTTPS, with whatever these files hold from time to time. */
  tls?: TlsFiles | undefined;
}

export interface Listening {
  url: string;
  /** Takes no more connections and resolves when those under way have been answered. */
  close: () => Promise<void>;
}

/** What a client may cost, in milliseconds and in numbers; SNS sends its whole message at once. */
const LIMITS = {
  /** From the first byte of a request, or the opening of its connection, to the end of its headers. */
  headersTimeout: 10_000,
  /** To the end of its body. */
  requestTimeout: 20_000,
  /** How often the two are looked at. */
  connectionsCheckingInterval: 1_000,
  /** Longer than the 60 seconds of common proxies, which else send into a connection that is just being closed. */
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16 * 1024,
} satisfies ServerOptions;
/** A client that does not read its answer. */
const SILENT_MS = 30_000;
const HANDSHAKE_MS = 10_000;
const MAX_CONNECTIONS = 1_000;
const MAX_HEADERS = 100;

/** @throws Error where the address is taken, or a TLS file cannot be used */
export async function listen(
  app: RequestListener,
  { host, port, tls }: ListenOptions,
  log: Logger,
): Promise<Listening> {
  const certificate = tls && reloadingCertificate(tls, log);
  const server = certificate
    ? createHttpsServer({ ...LIMITS, ...certificate.read(), handshakeTimeout: HANDSHAKE_MS }, app)
    : createHttpServer(LIMITS, app);
  server.timeout = SILENT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  server.maxHeadersCount = MAX_HEADERS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const unwatch = 'setSecureContext' in server ? certificate?.watch(server) : undefined;
  return {
    url: addressOf(server, tls ? 'https' : 'http'),
    async close() {
      unwatch?.();
      await close(server);
    },
  };
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
