import { createServer, request as forward, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

interface S3Request {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingMessage['headers'];
}

/** Stands before fauxqs for what its S3 does not do: refuse, and take a key only once (If-None-Match). */
export interface S3Gate {
  url: string;
  /** What was asked so far. */
  requests: S3Request[];
  /** Answers with this error of S3 instead of asking fauxqs; undefined lets pass again. */
  refuse: (refusal?: { status: number; code: string; when?: (request: S3Request) => boolean }) => void;
  /** The next PUT is stored and its answer lost. */
  loseAnswer: () => void;
  stop: () => Promise<void>;
}

/** @param target URL of fauxqs */
export async function startS3Gate(target: string): Promise<S3Gate> {
  const requests: S3Request[] = [];
  const stored = new Set<string>();
  let refusal: Parameters<S3Gate['refuse']>[0];
  let losing = false;

  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const { method = '', url: path = '', headers } = request;
    const seen = { method, path, headers };
    requests.push(seen);
    const answerError = (status: number, code: string) =>
      response
        .writeHead(status, { 'content-type': 'application/xml' })
        .end(method === 'HEAD' ? '' : `<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
    if (refusal && (refusal.when?.(seen) ?? true)) return void answerError(refusal.status, refusal.code);
    const key = path.split('?')[0] ?? '';
    if (method === 'PUT' && headers['if-none-match'] === '*' && stored.has(key)) {
      return void answerError(412, 'PreconditionFailed');
    }
    const through = forward(`${target}${path}`, { method, headers }, answer => {
      if (method === 'PUT' && answer.statusCode === 200) stored.add(key);
      if (losing && method === 'PUT') {
        losing = false;
        answer.resume();
        request.socket.destroy();
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    through.once('error', () => response.destroy());
    through.end(body);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    refuse: next => {
      refusal = next;
    },
    loseAnswer: () => {
      losing = true;
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
