import { createServer, request as forward, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';

/** The only way out of a network: it forwards http, opens tunnels for all else, and writes down what is asked. */
export interface EgressProxy {
  url: string;
  /** Request lines: `GET http://chef.invalid/nodes/web-1`, `CONNECT chef.invalid:443`. */
  asked: string[];
  stop: () => void;
}

/**
 * @param hosts host names that only the proxy knows, and the servers that they lead to; other hosts are on this machine
 * @param user `name:password` that it asks for
 */
export async function startEgressProxy(
  hosts: Record<string, string> = {},
  user?: string,
): Promise<EgressProxy> {
  const asked: string[] = [];
  const believed = ({ headers }: IncomingMessage) =>
    !user || headers['proxy-authorization'] === `Basic ${Buffer.from(user).toString('base64')}`;
  const target = (url: URL) => new URL(hosts[url.hostname] ?? `http://127.0.0.1:${url.port}`);

  const server = createServer((incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    if (!believed(incoming)) return outgoing.writeHead(407).end();
    const url = new URL(incoming.url ?? '');
    const { hostname, port } = target(url);
    const { 'proxy-authorization': _, 'proxy-connection': __, ...headers } = incoming.headers;
    const path = url.pathname + url.search;
    const through = forward({ hostname, port, path, method: incoming.method, headers }, answer => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    through.once('error', () => outgoing.destroy());
    outgoing.once('close', () => through.destroy());
    return incoming.pipe(through);
  });
  const tunnels = new Set<Duplex>();
  server.on('connect', (incoming: IncomingMessage, near: Duplex) => {
    asked.push(`CONNECT ${incoming.url}`);
    if (!believed(incoming)) return near.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const far = connect(Number(target(new URL(`http://${incoming.url}`)).port), '127.0.0.1', () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n');
      near.pipe(far).pipe(near);
    });
    for (const end of [near, far]) {
      tunnels.add(end);
      end.on('error', () => {}).once('close', () => [near, far].forEach(each => void each.destroy()));
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://${user ? `${user}@` : ''}127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    stop() {
      server.close();
      server.closeAllConnections();
      for (const end of tunnels) end.destroy();
    },
  };
}
