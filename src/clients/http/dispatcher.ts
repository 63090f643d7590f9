import { createSecureContext, getCACertificates } from 'node:tls';
import { Agent, type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici';
import { proxyEnvironment } from './proxy-environment.ts';

export interface DispatcherOptions {
  /** Limit for a connection to be made, in milliseconds. */
  timeoutMs: number;
  /** Connections to one origin. */
  connections: number;
  /** The largest answer read, in bytes. */
  maxBytes: number;
  /** Certificates (PEM) that are trusted besides Node's own authorities. */
  trusted?: readonly string[] | undefined;
  /** Environment variables with proxies. @default those that Node was started to use */
  proxies?: NodeJS.ProcessEnv | undefined;
}

/** Keeps connections; direct ones, or through the proxies of HTTP_PROXY and HTTPS_PROXY if Node is configured to use them. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { timeoutMs, connections, maxBytes, trusted = [], proxies = proxyEnvironment() } = options;
  const limits = { connections, pipelining: 1, maxResponseSize: maxBytes };
  const connect = { timeout: timeoutMs, ...(trusted.length > 0 && { secureContext: trustContext(trusted) }) };
  if (!proxies) return new Agent({ ...limits, connect });
  const [httpProxy, httpsProxy, noProxy] = ['http', 'https', 'no'].map(
    which => proxies[`${which}_proxy`] ?? proxies[`${which.toUpperCase()}_PROXY`] ?? '',
  ) as [string, string, string];
  return new EnvHttpProxyAgent({
    ...limits,
    httpProxy,
    httpsProxy,
    noProxy,
    connect,
    requestTls: connect,
    proxyTls: { timeout: timeoutMs },
    // As a rule, proxies open tunnels to port 443 only: http is forwarded, as Node's own requests are.
    proxyTunnel: false,
    // The agent that forwards makes its connections without our limits.
    factory: (origin, made) => new Pool(origin, { ...made, ...limits }),
  });
}

/** A certificate that is listed is trusted itself, whether it is an authority's, an intermediate's or the server's own. */
function trustContext(trusted: readonly string[]) {
  return createSecureContext({
    ca: [...getCACertificates('default'), ...trusted],
    allowPartialTrustChain: true,
  });
}
