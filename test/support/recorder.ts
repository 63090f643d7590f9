import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

interface Recorded {
  method: string;
  path: string;
  /** Of an AWS request, in whichever protocol: `ReceiveMessage`. */
  action: string | undefined;
}

/** Passes everything on to a server and writes down what was asked of it. */
export interface Recorder {
  url: string;
  requests: Recorded[];
  stop: () => void;
}

export async function startRecorder(target: string): Promise<Recorder> {
  const requests: Recorded[] = [];
  const server = createServer(async (incoming, outgoing) => {
    const body = await buffer(incoming);
    const { method = '', url: path = '', headers } = incoming;
    const byHeader = String(headers['x-amz-target'] ?? '').split('.')[1];
    const action = byHeader ?? new URLSearchParams(body.toString()).get('Action') ?? undefined;
    requests.push({ method, path, action });
    const through = forward(new URL(path, target), { method, headers }, answer => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    through.once('error', () => outgoing.destroy());
    outgoing.once('close', () => through.destroy());
    through.end(body);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
