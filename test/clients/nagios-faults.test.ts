import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { NagiosClient } from '../../src/clients/nagios.ts';

interface Asked {
  method: string;
  path: string;
  cookie: string | undefined;
  form: URLSearchParams;
}

/** What the real CGIs cannot be made to do: a server whose answers are given, and which keeps what it was asked. */
async function withServer(
  answer: (asked: Asked, response: ServerResponse) => void,
  use: (client: NagiosClient, asked: Asked[]) => Promise<void>,
): Promise<void> {
  const all: Asked[] = [];
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', headers } = request;
    const asked = {
      method,
      path: url,
      cookie: headers.cookie,
      form: new URLSearchParams(await text(request)),
    };
    all.push(asked);
    answer(asked, response);
  };
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const client = new NagiosClient({
    url: `http://127.0.0.1:${port}/nagios`,
    downtimeMinutes: 60,
    dateFormat: 'us',
    timeoutMs: 300,
  });
  try {
    await use(client, all);
  } finally {
    await client.close();
    server.closeAllConnections();
    server.close();
  }
}

const request = { host: 'web-1', comment: 'job 1' };
const submitted = '<DIV CLASS="infoMessage">Your command request was successfully submitted to Nagios</DIV>';

/** The form as Nagios serves it, with an id of our choice. */
function form(id: string, response: ServerResponse): void {
  response.setHeader('Set-Cookie', `NagFormId=${id}; SameSite=Strict; HttpOnly`);
  response.end(`<INPUT TYPE='hidden' NAME='nagFormId' VALUE='${id}'\n<TABLE>`);
}

describe('a form id', () => {
  test('that Nagios no longer takes is fetched anew, once', async () => {
    let current = 'a1';
    await withServer(
      (asked, response) => {
        if (asked.method === 'GET') return form(current, response);
        const fits = asked.form.get('nagFormId') === current && asked.cookie === `NagFormId=${current}`;
        response.end(fits ? submitted : '<p>Error: Invalid or missing CSRF cookie!</p>');
      },
      async (client, asked) => {
        expect((await client.scheduleDowntime(request)).outcome).toBe('submitted');
        current = 'b2';
        expect((await client.scheduleDowntime(request)).outcome).toBe('submitted');
        expect(asked.filter(({ method }) => method === 'GET')).toHaveLength(2);
        expect(asked.filter(({ method }) => method === 'POST')).toHaveLength(5);
      },
    );
  });

  test('that Nagios never takes ends the attempt', async () => {
    await withServer(
      (asked, response) =>
        asked.method === 'GET' ? form('a1', response) : response.end('<p>Error: Invalid form id!</p>'),
      async (client, asked) => {
        await expect(client.scheduleDowntime(request)).rejects.toMatchObject({
          code: 'rejected',
          message: expect.stringContaining('Error: Invalid form id!'),
        });
        expect(asked.filter(({ method }) => method === 'POST')).toHaveLength(2);
      },
    );
  });
});

describe('a server in front of Nagios that', () => {
  test('fails after it took a command is not sent the command again', async () => {
    await withServer(
      (asked, response) =>
        asked.method === 'GET' ? form('a1', response) : response.writeHead(502).end('Bad Gateway'),
      async (client, asked) => {
        await expect(client.scheduleDowntime(request)).rejects.toMatchObject({
          code: 'unavailable',
          message: expect.stringContaining('answered 502: Bad Gateway'),
        });
        expect(asked.filter(({ method }) => method === 'POST')).toHaveLength(1);
      },
    );
  });

  test('hangs is unavailable', async () => {
    await withServer(
      () => {},
      async client => {
        await expect(client.probe()).rejects.toMatchObject({
          code: 'unavailable',
          message: expect.stringContaining('no answer within 300 ms'),
        });
      },
    );
  });

  test('shows a page of its own is quoted, not believed', async () => {
    await withServer(
      (_, response) =>
        response.end('<html><head><title>SSO</title></head><h1>Please log&nbsp;in</h1></html>'),
      async client => {
        const rejected = { code: 'rejected', message: expect.stringContaining('Please log in') };
        await expect(client.scheduleDowntime(request)).rejects.toMatchObject(rejected);
        await expect(client.listDowntimes()).rejects.toMatchObject(rejected);
        const awaited = { ...request, submittedAt: new Date() };
        await expect(client.awaitDowntime(awaited, { timeoutMs: 60_000 })).rejects.toMatchObject(rejected);
      },
    );
  });

  test.each([
    [302, 'rejected', 'points to https://sso.example/: set NAGIOS_URL'],
    [403, 'permission', 'does not let user (none) use statusjson.cgi'],
    [401, 'credentials', 'set NAGIOS_USERNAME'],
    [400, 'rejected', 'answered 400 to statusjson.cgi: nope'],
  ])('answers %i is told as %s', async (status, code, words) => {
    await withServer(
      (asked, response) => {
        expect(asked.path).toBe('/nagios/statusjson.cgi?query=programstatus');
        response.writeHead(status, { Location: 'https://sso.example/' }).end('nope');
      },
      async client => {
        await expect(client.probe()).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
      },
    );
  });
});
