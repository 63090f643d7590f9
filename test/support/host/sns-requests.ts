import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignatureV4 } from '@smithy/signature-v4';

export interface SnsRequest {
  method: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface SnsListener {
  url: string;
  requests: SnsRequest[];
  stop: () => Promise<void>;
}

/** Hears what is sent to SNS as it is on the wire, where the emulator does not look at signatures. */
export async function startSnsListener(status = 200, reply = '<PublishResponse/>'): Promise<SnsListener> {
  const requests: SnsRequest[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', chunk => (body += chunk));
    request.on('end', () => {
      requests.push({ method: request.method ?? '', headers: request.headers, body });
      if (status > 0) response.writeHead(status).end(reply);
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    stop: () =>
      new Promise(resolve => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** The Authorization header that AWS's own code makes of the same request, signing the same headers. */
export async function awsAuthorization(
  request: SnsRequest,
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string },
): Promise<string | undefined> {
  const { headers } = request;
  const names = (/SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1] ?? '').split(';');
  const [hostname = '', port] = (headers.host ?? '').split(':');
  const signer = new SignatureV4({
    service: 'sns',
    region: 'eu-west-1',
    credentials,
    sha256: Sha256,
    applyChecksum: false,
  });
  const date = String(headers['x-amz-date']).replace(
    /^(....)(..)(..T..)(..)(..Z)$/,
    (_, year, month, day, minute, second) => `${year}-${month}-${day}:${minute}:${second}`,
  );
  const signed = await signer.sign(
    {
      method: request.method,
      protocol: 'http:',
      hostname,
      port: Number(port),
      path: '/',
      query: {},
      headers: Object.fromEntries(names.map(name => [name, String(headers[name])])),
      body: request.body,
    },
    { signingDate: new Date(date), signableHeaders: new Set(names) },
  );
  return signed.headers['authorization'];
}

/** SHA-256, or HMAC with it, as the signer wants it. */
class Sha256 {
  readonly #hash: Hash | Hmac;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret ? createHmac('sha256', bytes(secret)) : createHash('sha256');
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytes(data));
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {}
}

function bytes(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
