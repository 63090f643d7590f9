import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { basename } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { basicGate, digestGate, type Gate } from './cgi-gate.ts';
import { runCgi } from './cgi-program.ts';

export interface GatewayOptions {
  /** Where the programs lie. */
  directory: string;
  /** The URL path they are served under, with a slash at both ends. */
  path: string;
  auth: 'basic' | 'digest' | 'digest-sha-256';
  username: string;
  password: string;
  /** Added to the environment of every program. */
  env: NodeJS.ProcessEnv;
}

/** One request that reached the gateway, whether let in or not. */
export interface Asked {
  method: string;
  /** The program's file name: `cmd.cgi`. */
  cgi: string;
  query: URLSearchParams;
  form: URLSearchParams;
  cookie: string | undefined;
  authorization: string | undefined;
  /** Set once it is answered. */
  status?: number;
}

/**
 * A status that is answered and the program not run; `cut`, the connection ends and the program is not run; `lose`, the
 * connection ends after the program ran; `pretend`, Nagios's words for a command that it took, and the program is not run.
 */
type Fault = number | 'cut' | 'lose' | 'pretend';

export type FaultOf = (asked: Asked) => Fault | undefined;

export interface Gateway {
  port: number;
  requests: Asked[];
  /** Makes every nonce given so far too old, as a web server's restart does; for digest only. */
  forgetNonces: () => void;
  /** Has requests fail for which it gives a fault; without it none does any more. */
  fail: (faultOf?: FaultOf) => void;
  listen: () => Promise<void>;
  /** Ends all connections and refuses new ones until `listen` is called again. */
  close: () => Promise<void>;
}

/** A small web server that runs CGI programs (RFC 3875) behind basic or digest authentication. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const gate = options.auth === 'basic' ? basicGate(options) : digestGate(options);
  const requests: Asked[] = [];
  let faultOf: FaultOf = () => undefined;
  const server = createServer((request, response) => {
    answer(options, gate, requests, faultOf, request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });
  const gateway: Gateway = {
    port: 0,
    requests,
    forgetNonces: gate.forget,
    fail: (fault = () => undefined) => {
      faultOf = fault;
    },
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(gateway.port, '127.0.0.1', () => {
          const address = server.address();
          if (typeof address === 'object' && address) gateway.port = address.port;
          server.off('error', reject);
          resolve();
        });
      }),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  await gateway.listen();
  return gateway;
}

async function answer(
  options: GatewayOptions,
  gate: Gate,
  requests: Asked[],
  faultOf: FaultOf,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const body = await buffer(request);
  const asked: Asked = {
    method: request.method ?? '',
    cgi: basename(url.pathname),
    query: url.searchParams,
    form: new URLSearchParams(body.toString()),
    cookie: request.headers.cookie,
    authorization: request.headers.authorization,
  };
  requests.push(asked);
  response.once('finish', () => (asked.status = response.statusCode));
  const challenge = gate.challenge(asked.method, request.url ?? '', asked.authorization);
  if (challenge !== undefined) {
    response.writeHead(401, { 'WWW-Authenticate': challenge }).end('<h1>Unauthorized</h1>');
  } else if (!url.pathname.startsWith(options.path) || !/^\w+\.cgi$/.test(asked.cgi)) {
    response.writeHead(404).end('<h1>Not Found</h1>');
  } else {
    const fault = faultOf(asked);
    if (fault === 'cut') response.destroy();
    else if (fault === 'pretend') response.end('Your command request was successfully submitted to Nagios');
    else if (typeof fault === 'number') response.writeHead(fault).end('<h1>Not here</h1>');
    else await run(options, asked.cgi, url, request, body, response, fault === 'lose');
  }
}

/** Cut off with its client: a program must not go on waiting for a daemon that never comes. */
async function run(
  options: GatewayOptions,
  cgi: string,
  url: URL,
  request: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
  isLost: boolean,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const answer = await runCgi({
    program: `${options.directory}/${cgi}`,
    body,
    signal: gone.signal,
    env: {
      REQUEST_METHOD: request.method,
      SCRIPT_NAME: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'],
      CONTENT_LENGTH: String(body.length),
      HTTP_COOKIE: request.headers.cookie,
      HTTP_REFERER: request.headers.referer,
      REMOTE_USER: options.username,
      AUTH_TYPE: options.auth,
      ...options.env,
    },
  });
  if (isLost) return void response.destroy();
  for (const [name, value] of answer.headers) response.appendHeader(name, value);
  response.writeHead(answer.status).end(answer.text);
}
