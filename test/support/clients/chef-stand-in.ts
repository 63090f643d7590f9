import { createHash, verify } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect } from 'vitest';
import { keyPair } from '../chef-server.ts';

export interface Exchange {
  method: string;
  /** Below the organization, with the query. */
  path: string;
  body?: unknown;
  status?: number;
  /** Sent as JSON, but for a string. */
  answer?: unknown;
  headers?: Record<string, string>;
  /** Instead of an answer. */
  act?: (response: ServerResponse) => void;
}

/** A Chef server for what goiardi cannot do: organizations, keys and ACLs of their own kind, pages of a search, failures. */
export interface ChefStandIn {
  /** With the organization. */
  url: string;
  /** The one client it knows. */
  clientName: string;
  privateKey: string;
  /** Open connections. */
  sockets: Set<Socket>;
  /** What it will be asked, each once and in any order; the answers to one question come in the order given. */
  willAnswer: (...exchanges: Exchange[]) => void;
  /** What it was not asked yet. */
  open: () => Exchange[];
  /** Fails where it was asked anything else, asked without a right signature, or not asked; forgets all of it. */
  check: () => void;
  stop: () => void;
}

const ORGANIZATION = '/organizations/acme';
/** Every organization has it: it may be asked for at any time, and is there unless the test says otherwise. */
const ENVIRONMENT = '/environments/_default';

export async function startChefStandIn(): Promise<ChefStandIn> {
  const { publicKey, privateKey } = keyPair();
  const sockets = new Set<Socket>();
  let expected: Exchange[] = [];
  let faults: string[] = [];

  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const asked = `${request.method} ${request.url}`;
    const index = expected.findIndex(({ method, path }) => asked === `${method} ${ORGANIZATION}${path}`);
    const [exchange] = index < 0 ? [] : expected.splice(index, 1);
    if (!exchange && asked === `GET ${ORGANIZATION}${ENVIRONMENT}`)
      return response.end('{"name":"_default"}');
    if (!exchange) faults.push(`not expected: ${asked}`);
    if (!signatureHolds(request, body, publicKey)) faults.push(`wrong signature: ${asked}`);
    if (exchange?.body !== undefined && body !== JSON.stringify(exchange.body)) {
      faults.push(`wrong body: ${asked} ${body}`);
    }
    if (exchange?.act) return exchange.act(response);
    const text =
      typeof exchange?.answer === 'string' ? exchange.answer : JSON.stringify(exchange?.answer ?? {});
    response.writeHead(exchange?.status ?? (exchange ? 200 : 400), exchange?.headers).end(text);
  });
  server.on('connection', socket => sockets.add(socket.once('close', () => sockets.delete(socket))));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${ORGANIZATION}/`,
    clientName: 'dereg',
    privateKey,
    sockets,
    willAnswer: (...exchanges) => void expected.push(...exchanges),
    open: () => expected,
    check() {
      const outcome = { faults, notAsked: expected };
      expected = [];
      faults = [];
      expect(outcome).toEqual({ faults: [], notAsked: [] });
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Checked by the text of the protocol, not by the code that signs. */
function signatureHolds(
  { method, url = '', headers }: IncomingMessage,
  body: string,
  publicKey: string,
): boolean {
  const hash = createHash('sha256').update(body).digest('base64');
  const text =
    `Method:${method}\nPath:${url.split('?')[0]}\nX-Ops-Content-Hash:${hash}\nX-Ops-Sign:version=1.3\n` +
    `X-Ops-Timestamp:${headers['x-ops-timestamp']}\nX-Ops-UserId:dereg\n` +
    `X-Ops-Server-API-Version:${headers['x-ops-server-api-version']}`;
  const lines = [1, 2, 3, 4, 5, 6].map(n => headers[`x-ops-authorization-${n}`] ?? '');
  return verify('sha256', Buffer.from(text), publicKey, Buffer.from(lines.join(''), 'base64'));
}
