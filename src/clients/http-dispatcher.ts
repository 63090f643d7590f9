import { createSecureContext, getCACertificates } from 'node:tls';
import { Agent, type Dispatcher } from 'undici';

export interface DispatcherOptions {
  /** Limit for a connection to be made, in milliseconds. */
  timeoutMs: number;
  /** Connections to one origin. */
  connections: number;
  /** The largest answer read, in bytes. */
  maxBytes: number;
  /** Certificates (PEM) that are trusted besides Node's own authorities. */
  trusted?: readonly string[] | undefined;
}

/** Keeps connections, and trusts what it is told to. */
export function createDispatcher({
  timeoutMs,
  connections,
  maxBytes,
  trusted = [],
}: DispatcherOptions): Dispatcher {
  const limits = { connections, pipelining: 1, maxResponseSize: maxBytes };
  const connect = { timeout: timeoutMs, ...(trusted.length > 0 && { secureContext: trustContext(trusted) }) };
  return new Agent({ ...limits, connect });
}

/** A certificate that is listed is trusted itself, whether it is an authority's, an intermediate's or the server's own. */
function trustContext(trusted: readonly string[]) {
  return createSecureContext({
    ca: [...getCACertificates('default'), ...trusted],
    allowPartialTrustChain: true,
  });
}
