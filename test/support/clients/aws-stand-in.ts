import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export const CREDENTIALS = { accessKeyId: 'AKIATEST', secretAccessKey: 'secret-of-the-tests' };
export const REGION = 'eu-west-1';

export interface Answer {
  status: number;
  body: string;
  headers?: Record<string, string>;
}

interface Asked {
  /** Of the Query protocol: the form. */
  form: Record<string, string>;
  target: string | undefined;
  /** Region and service that it was signed for. */
  scope: string;
}

export interface AwsStandIn {
  readonly options: { endpoint: string; region: string; credentials: typeof CREDENTIALS };
  /** Requests so far; each one carried a right signature. */
  readonly asked: Asked[];
  /** Answers of the next requests; the last one stays. `hang` never answers. */
  answers: (Answer | 'hang')[];
  stop(): void;
}

/** An AWS endpoint that answers as told, for what the emulator never says, and refuses what is not signed for it. */
export async function startAwsStandIn(): Promise<AwsStandIn> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const scope = signedScope(request, body);
    if (!scope) return void response.writeHead(403).end(queryError('SignatureDoesNotMatch', 'wrong'));
    const target = request.headers['x-amz-target'];
    asked.push({
      form: Object.fromEntries(new URLSearchParams(body)),
      target: typeof target === 'string' ? target : undefined,
      scope,
    });
    const answer = standIn.answers.length > 1 ? standIn.answers.shift() : standIn.answers[0];
    if (!answer || answer === 'hang') return;
    response.writeHead(answer.status, { 'content-type': 'text/xml', ...answer.headers }).end(answer.body);
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const standIn: AwsStandIn = {
    options: { endpoint, region: REGION, credentials: CREDENTIALS },
    asked,
    answers: [],
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  return standIn;
}

/** An error in the Query protocol of SNS and Auto Scaling. */
export function queryError(code: string, message: string): string {
  return `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>7c6e177f-f082-11e1-ac58-3714bEXAMPLE</RequestId></ErrorResponse>`;
}

/** An error in the JSON protocol of SQS. */
export function jsonError(type: string, message: string): Answer {
  return {
    status: 400,
    headers: { 'content-type': 'application/x-amz-json-1.0' },
    body: JSON.stringify({ __type: type, message }),
  };
}

/**
 * Region and service of a request whose signature is right; undefined for any other.
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function signedScope(request: IncomingMessage, body: string): string | undefined {
  const [, scope = '', names = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=AKIATEST\/(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? '',
    ) ?? [];
  const headers = names.split(';').map(name => `${name}:${request.headers[name]}\n`);
  const canonical = [request.method, request.url, '', headers.join(''), names, sha256(body)].join('\n');
  const time = String(request.headers['x-amz-date']);
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  const key = scope
    .split('/')
    .reduce<Buffer>((secret, part) => hmac(secret, part), Buffer.from(`AWS4${CREDENTIALS.secretAccessKey}`));
  const expected = hmac(key, toSign).toString('hex');
  return signature === expected ? scope.split('/').slice(1, 3).join('/') : undefined;
}

function sha256(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}

function hmac(key: Buffer, value: string): Buffer {
  return createHmac('sha256', key).update(value).digest();
}
