import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { HttpClient, type HttpOptions } from '../../../../src/clients/http/request.ts';
import { makeSelfSigned } from '../../../support/certificates.ts';
import { startChefServer } from '../../../support/chef-server.ts';
import { type EgressProxy, startEgressProxy } from '../../../support/egress-proxy.ts';

let server: Server;
let target: URL;
/** Connections that the server has seen, and requests that it has not answered yet. */
let open = 0;
let most = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    most = Math.max(most, ++open);
    setImmediate(() => {
      open--;
      response.end(
        request.url === '/large' ? 'x'.repeat(2_000) : JSON.stringify([request.method, request.url]),
      );
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  target = new URL(`http://app.invalid:${(server.address() as AddressInfo).port}/path?query=1`);
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

function clientThrough({ url }: Pick<EgressProxy, 'url'>, options: Partial<HttpOptions> = {}): HttpClient {
  const http = new HttpClient({
    service: 'App',
    timeoutMs: 5_000,
    attempts: 1,
    connections: 2,
    maxBytes: 1_000,
    proxies: { http_proxy: url, HTTPS_PROXY: url, NO_PROXY: 'direct.invalid' },
    ...options,
  });
  onTestFinished(() => http.close());
  return http;
}

async function startProxy(user?: string): Promise<EgressProxy> {
  const proxy = await startEgressProxy({}, user);
  onTestFinished(proxy.stop);
  return proxy;
}

describe('a request through a proxy', () => {
  test('reaches the server with its path and query, and shows the proxy its user', async () => {
    const proxy = await startProxy('name:password');
    const http = clientThrough(proxy);
    const { status, text } = await http.request({ method: 'GET', url: target, repeatable: true });
    expect([status, JSON.parse(text)]).toEqual([200, ['GET', '/path?query=1']]);
    expect(proxy.asked).toEqual([`GET ${target.href}`]);
  });

  test('has the same limits as a direct one: size and connections', async () => {
    const http = clientThrough(await startProxy());
    const large = http.request({ method: 'GET', url: new URL('/large', target), repeatable: true });
    await expect(large).rejects.toMatchObject({ code: 'rejected' });
    most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () => http.request({ method: 'GET', url: target, repeatable: true })),
    );
    expect(most).toBeLessThanOrEqual(2);
  });

  test.each(['http', 'https'])(
    'over %s is checked right before it is sent, and not sent if that fails',
    async scheme => {
      const { certificate: cert, key } = await makeSelfSigned();
      const secure = await startChefServer({ tls: { cert, key } });
      onTestFinished(() => secure.stop());
      const proxy = await startProxy();
      const http = clientThrough(proxy, { trusted: [cert] });
      const lost = new Error('the lock is lost');
      const refuse = () => {
        throw lost;
      };
      const url = scheme === 'http' ? target : new URL(secure.url.replace('127.0.0.1', 'localhost'));
      const request = { method: 'DELETE', url, repeatable: false } as const;
      await expect(http.request({ ...request, beforeSend: refuse })).rejects.toBe(lost);
      expect(proxy.asked.filter(asked => asked.startsWith('DELETE'))).toEqual([]);
      let checks = 0;
      await http.request({ ...request, beforeSend: () => void checks++ });
      expect(checks).toBe(1);
    },
  );

  test('is refused with the proxy’s own answer if the proxy wants a user', async () => {
    const proxy = await startProxy('name:password');
    const http = clientThrough({ url: proxy.url.replace('name:password@', '') });
    for (const url of [target, new URL(`https://localhost:${target.port}`)]) {
      const asked = http.request({ method: 'GET', url, repeatable: true });
      const message = expect.stringMatching(/Proxy.*407/);
      await expect(asked).rejects.toMatchObject({ code: 'unavailable', message });
    }
  });

  test('is not made for the hosts of NO_PROXY', async () => {
    const proxy = await startProxy();
    const http = clientThrough(proxy);
    const asked = http.request({ method: 'GET', url: new URL('http://direct.invalid/'), repeatable: true });
    await expect(asked).rejects.toMatchObject({ code: 'unavailable' });
    expect(proxy.asked).toEqual([]);
  });
});
