import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request that went through, or was to. */
interface Proxied {
  method: string;
  path: string;
  /** When the answer of the server behind came back, in milliseconds. */
  answeredAt?: number;
  status?: number;
}

export interface HttpProxy {
  url: string;
  /** Everything that was asked, oldest first. */
  requests: Proxied[];
  /** Called before a request is passed on, and again before its answer is. */
  watch: (request: Proxied) => void | Promise<void>;
  /** `fail`: 500 for every request, which does not reach the server. */
  mode: 'pass' | 'fail';
  /** Connections are refused until `open`. */
  refuse: () => Promise<void>;
  open: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Stands between a client and a server, writes down what is asked, and can be in the way. */
export async function startHttpProxy(target: string): Promise<HttpProxy> {
  let port = 0;
  const server = createServer((incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const asked: Proxied = { method: incoming.method ?? '', path: incoming.url ?? '' };
    proxy.requests.push(asked);
    await proxy.watch(asked);
    if (proxy.mode === 'fail') {
      incoming.resume();
      outgoing.writeHead(500, { 'content-type': 'text/plain' }).end('out of order');
      return;
    }
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { method: incoming.method, headers: incoming.headers };
      incoming.pipe(request(new URL(asked.path, target), options, resolve).once('error', reject));
      outgoing.once('close', () => reject(new Error('the client is gone')));
    });
    asked.status = answer.statusCode ?? 0;
    asked.answeredAt = Date.now();
    await proxy.watch(asked);
    outgoing.writeHead(asked.status, answer.headers);
    answer.pipe(outgoing);
  }

  const proxy: HttpProxy = {
    url: '',
    requests: [],
    watch: () => {},
    mode: 'pass',
    refuse: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    open: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, '127.0.0.1', () => {
          server.off('error', reject);
          resolve();
        });
      }),
    stop: () => (server.listening ? proxy.refuse() : Promise.resolve()),
  };
  await proxy.open();
  port = (server.address() as AddressInfo).port;
  proxy.url = `http://127.0.0.1:${port}`;
  return proxy;
}
