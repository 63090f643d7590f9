import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { NagiosClient } from '../../../../src/clients/nagios/client.ts';

interface Asked {
  method: string;
  path: string;
  cookie: string | undefined;
  referer: string | undefined;
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
      referer: headers.referer,
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
  test('that Nagios no longer takes is fetched again, once', async () => {
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

test('a command names its form as the page that it comes from, without which Icinga 1 refuses it', async () => {
  await withServer(
    ({ method, referer }, response) => {
      if (method === 'GET') return form('a1', response);
      const isFromForm = /^http:\/\/127\.0\.0\.1:\d+\/nagios\/cmd\.cgi$/.test(referer ?? '');
      response.end(isFromForm ? submitted : '<p>Error: This appears to be a CSRF attack!</p>');
    },
    async client => {
      expect((await client.scheduleDowntime(request)).outcome).toBe('submitted');
    },
  );
});

test('a JSON CGI that is a page of the web server is missing if Nagios takes commands', async () => {
  for (const [status, told] of [
    [200, 'with a web page'],
    [301, '301'],
    [403, '403'],
    [404, '404'],
  ] as const) {
    await withServer(
      ({ path }, response) => {
        if (path.includes('cmd.cgi'))
          return void response.end(`<input type='hidden' name='cmd_typ' value='55'>`);
        response.writeHead(status).end('<html>Welcome</html>');
      },
      async client => {
        for (const ask of [
          () => client.probe(),
          () => client.listDowntimes(),
          () => client.hostsNamed('web-1'),
        ]) {
          await expect(ask()).rejects.toMatchObject({
            code: 'unsupported',
            message: expect.stringMatching(
              new RegExp(`answers ${told} for \\w+json\\.cgi.* since 4\\.0\\.7`),
            ),
          });
        }
      },
    );
  }
});

describe('a server in front of Nagios that', () => {
  // Nagios may have taken the command: only the step, which first looks for what it did, may send it again.
  test.each<[string, (response: ServerResponse) => void]>([
    ['answers 502', response => response.writeHead(502).end('Bad Gateway')],
    ['answers 503 and asks to come back', response => response.writeHead(503, { 'retry-after': '0' }).end()],
    ['answers 429 and asks to come back', response => response.writeHead(429, { 'retry-after': '0' }).end()],
    ['resets the connection', response => response.socket?.resetAndDestroy()],
    ['closes the connection', response => response.socket?.destroy()],
    [
      'ends in the middle of its answer',
      response => {
        response
          .writeHead(200, { 'content-length': '1000' })
          .write(submitted, () => response.socket?.destroy());
      },
    ],
    ['never answers', () => {}],
  ])('%s to a command is not sent the command again', async (_what, fail) => {
    await withServer(
      (asked, response) => (asked.method === 'GET' ? form('a1', response) : fail(response)),
      async (client, asked) => {
        await expect(client.scheduleDowntime(request)).rejects.toMatchObject({ code: 'unavailable' });
        expect(asked.filter(({ method }) => method === 'POST')).toHaveLength(1);
      },
    );
  });

  test('fails to cancel a downtime is not sent the command again, and the other downtimes are cancelled', async () => {
    const listed = { host_name: 'web-1', comment: 'job 1', start_time: 0, end_time: 0 };
    const list = { 7: { ...listed, type: 2 }, 8: { ...listed, type: 1, service_description: 'ssh' } };
    const answer = { result: { type_code: 0 }, data: { downtimelist: list } };
    await withServer(
      ({ method, path, form: sent }, response) => {
        if (path.includes('statusjson.cgi')) return void response.end(JSON.stringify(answer));
        if (method === 'GET') return form('a1', response);
        if (sent.get('down_id') === '7') return void response.writeHead(502).end();
        response.end(submitted);
      },
      async (client, asked) => {
        await expect(client.cancelDowntimes({ comment: 'job 1' })).rejects.toMatchObject({
          code: 'unavailable',
        });
        const sent = () =>
          asked.filter(({ method }) => method === 'POST').map(({ form: of }) => of.get('down_id'));
        await expect.poll(() => sent().sort()).toEqual(['7', '8']);
      },
    );
  });

  test('fails once to show something is asked again', async () => {
    let asks = 0;
    await withServer(
      (_, response) => {
        if (++asks === 1) return void response.writeHead(502).end();
        response.end(
          JSON.stringify({ result: { type_code: 0, query_time: 1, last_data_update: 1 }, data: {} }),
        );
      },
      async client => {
        expect((await client.listDowntimes()).downtimes).toEqual([]);
        expect(asks).toBe(2);
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

  test('shows a page of its own is quoted, and does not count', async () => {
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
  ])('answers %i is reported as %s', async (status, code, words) => {
    await withServer(
      (asked, response) => {
        // It is asked for its form, too, to tell this from a Nagios without JSON CGIs.
        const asks = ['/nagios/statusjson.cgi?query=programstatus', '/nagios/cmd.cgi?cmd_typ=55'];
        expect(asks).toContain(asked.path);
        response.writeHead(status, { Location: 'https://sso.example/' }).end('nope');
      },
      async client => {
        await expect(client.probe()).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
      },
    );
  });
});
