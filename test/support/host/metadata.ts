import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface MetadataService {
  url: string;
  /** What it was asked, `METHOD path`, and how it answered. */
  asked: string[];
  stop: () => Promise<void>;
}

const TOKEN = 'AQAEAO-token-of-this-session==';

/**
 * The instance metadata service of an instance that demands version 2: without a token every GET is 401.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 * @param tree what is at each path below /latest/meta-data/; 404 for every other
 */
export async function startMetadata(tree: Record<string, string>): Promise<MetadataService> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { method, url = '', headers } = request;
    const answer = (status: number, body = '') => {
      asked.push(`${method} ${url} ${status}`);
      response.writeHead(status).end(body);
    };
    if (method === 'PUT' && url === '/latest/api/token') {
      const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      return ttl >= 1 && ttl <= 21_600 ? answer(200, TOKEN) : answer(400);
    }
    if (headers['x-aws-ec2-metadata-token'] !== TOKEN) return answer(401);
    const value = tree[url.replace('/latest/meta-data/', '')];
    return value === undefined ? answer(404) : answer(200, value);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    stop: () =>
      new Promise(resolve => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Credentials of a role as the service serves them, over several lines. */
export function roleCredentials(credentials: { id: string; secret: string; token: string }): string {
  const { id, secret, token } = credentials;
  return `{
  "Code" : "Success",
  "LastUpdated" : "2026-03-02T10:00:00Z",
  "Type" : "AWS-HMAC",
  "AccessKeyId" : "${id}",
  "SecretAccessKey" : "${secret}",
  "Token" : "${token}",
  "Expiration" : "2026-03-02T16:00:00Z"
}`;
}
