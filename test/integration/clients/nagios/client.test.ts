import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NagiosClient, type NagiosOptions } from '../../../../src/clients/nagios/client.ts';
import { type Nagios, startNagios } from '../../../support/nagios.ts';
import { until } from '../../../support/process.ts';

const hosts = ['web-1', 'web-2', { name: 'bare:host_3.example', services: [] }];
const timezone = 'Pacific/Auckland';
let nagios: Nagios;
let client: NagiosClient;
const clients: NagiosClient[] = [];

/** A client of this Nagios; closed after the tests. */
function clientOf(at: Nagios, options: Partial<NagiosOptions> = {}): NagiosClient {
  const { url, username, password } = at;
  const made = new NagiosClient({
    url,
    username,
    password,
    downtimeMinutes: 90,
    dateFormat: 'us',
    timezone,
    ...options,
  });
  clients.push(made);
  return made;
}

beforeAll(async () => {
  nagios = await startNagios({ hosts, timezone });
  client = clientOf(nagios);
});

afterAll(async () => {
  await Promise.all(clients.map(each => each.close()));
  await nagios.stop();
});

async function schedule(by: NagiosClient, host: string, comment: string) {
  const scheduled = await by.scheduleDowntime({ host, comment });
  if (scheduled.outcome !== 'submitted') throw new Error(scheduled.outcome);
  await by.awaitDowntime({ host, comment, ...scheduled }, { timeoutMs: 15_000 });
  return scheduled;
}

describe.concurrent('a downtime', () => {
  test('stands for the host and all its services, fixed, from now on, when it was awaited', async () => {
    const { start, end } = await schedule(client, 'web-1', 'job 1; gone <b>for</b> good');
    const made = (await nagios.downtimes()).filter(({ comment }) => comment === 'job 1 gone bfor/b good');
    expect(made.map(each => each.service_description).sort()).toEqual(['disk', 'ssh', undefined]);
    for (const downtime of made) {
      expect(downtime).toMatchObject({ host_name: 'web-1', author: nagios.username, fixed: true });
      expect(downtime.start_time).toBe(Math.floor(start.getTime() / 1000) * 1000);
      expect(downtime.end_time).toBe(Math.floor(end.getTime() / 1000) * 1000);
    }
    expect(end.getTime() - start.getTime()).toBe(90 * 60_000);
  });

  test('stands for a host without services', async () => {
    await schedule(client, 'bare:host_3.example', 'job bare');
    const { downtimes } = await client.listDowntimes();
    expect(downtimes.filter(({ comment }) => comment === 'job bare')).toMatchObject([
      { type: 'host', host: 'bare:host_3.example' },
    ]);
  });

  test('of a host that got no further than its services is completed', async () => {
    const scheduled = await client.scheduleDowntime({ host: 'web-2', comment: 'job half', hostOnly: true });
    expect(scheduled.outcome).toBe('submitted');
    await client.awaitDowntime(
      { host: 'web-2', comment: 'job half', submittedAt: new Date() },
      { timeoutMs: 15_000 },
    );
    const { downtimes } = await client.listDowntimes();
    expect(downtimes.filter(({ comment }) => comment === 'job half').map(({ type }) => type)).toEqual([
      'host',
    ]);
  });

  test('is cancelled by its comment, for the host and its services, and again does no harm', async () => {
    await schedule(client, 'web-2', 'job to cancel');
    await schedule(client, 'web-2', 'job to cancel not');
    expect(await client.cancelDowntimes({ comment: 'job to cancel' })).toBe(3);
    await until('the downtimes to be gone', async () => {
      const { downtimes } = await client.listDowntimes();
      return !downtimes.some(({ comment }) => comment === 'job to cancel');
    });
    expect(await client.cancelDowntimes({ comment: 'job to cancel' })).toBe(0);
    const { downtimes } = await client.listDowntimes();
    expect(downtimes.filter(({ comment }) => comment === 'job to cancel not')).toHaveLength(3);
  });

  test('that Nagios took but did not make is reported, and does not count', async () => {
    const awaited = { host: 'web-1', comment: 'never sent', submittedAt: new Date() };
    await expect(client.awaitDowntime(awaited, { timeoutMs: 15_000 })).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringMatching(
        /\d s later no downtime with comment "never sent" is listed: check NAGIOS_DATE_FORMAT/,
      ),
    });
  });

  test('that ends on another day than meant is told', async () => {
    const scheduled = await schedule(client, 'web-1', 'another day');
    const end = new Date(scheduled.end.getTime() + 30 * 86_400_000);
    await expect(
      client.awaitDowntime(
        { host: 'web-1', comment: 'another day', ...scheduled, end },
        { timeoutMs: 15_000 },
      ),
    ).rejects.toMatchObject({ code: 'rejected', message: expect.stringContaining('ends at') });
  });
});

describe('the form that Nagios wants commands from', () => {
  test('is fetched once for many commands, and its id sent back as field and cookie', async () => {
    const fresh = clientOf(nagios);
    const before = nagios.requests.length;
    await Promise.all(
      ['form 1', 'form 2'].map(comment => fresh.scheduleDowntime({ host: 'web-1', comment })),
    );
    const asked = nagios.requests
      .slice(before)
      .filter(({ cgi, status }) => cgi === 'cmd.cgi' && status === 200);
    expect(asked.filter(({ method }) => method === 'GET')).toHaveLength(1);
    for (const { form, cookie } of asked.filter(({ method }) => method === 'POST')) {
      expect(form.get('nagFormId')).toMatch(/^\w+$/);
      expect(cookie).toBe(`NagFormId=${form.get('nagFormId')}`);
    }
  });
});

describe('what Nagios is asked', () => {
  test('by many calls at once that do not know yet how to log in, is answered to all', async () => {
    const fresh = clientOf(nagios);
    await Promise.all(Array.from({ length: 6 }, () => fresh.listDowntimes()));
  });

  test('when many are awaited, is one query a second, and none when nobody waits', async () => {
    const comments = Array.from({ length: 6 }, (_, at) => `many ${at}`);
    const scheduled = await Promise.all(
      comments.map(comment => client.scheduleDowntime({ host: 'web-1', comment })),
    );
    expect(scheduled.every(({ outcome }) => outcome === 'submitted')).toBe(true);
    const before = nagios.requests.length;
    const submittedAt = new Date();
    await Promise.all(
      comments.map(comment =>
        client.awaitDowntime({ host: 'web-1', comment, submittedAt }, { timeoutMs: 15_000 }),
      ),
    );
    const queries = nagios.requests.slice(before);
    expect(queries.every(({ query }) => query.get('query') === 'downtimelist')).toBe(true);
    expect(queries.length).toBeLessThan(comments.length);
  });
});

describe('hosts of a name', () => {
  test('are found in any case, an exact one alone', async () => {
    expect(await client.hostsNamed('WEB-1')).toEqual(['web-1']);
    expect(await client.hostsNamed('web-1')).toEqual(['web-1']);
    expect(await client.hostsNamed('web')).toEqual([]);
  });

  test('that many ask for at once are looked for with one query', async () => {
    const fresh = clientOf(nagios);
    const before = nagios.requests.length;
    await Promise.all(Array.from({ length: 6 }, (_, at) => fresh.hostsNamed(`web-${at}`)));
    const lists = nagios.requests.slice(before).filter(({ status }) => status === 200);
    expect(lists.map(({ query }) => query.get('query'))).toEqual(['hostlist']);
  });

  test('are shown as Nagios has them configured', async () => {
    expect(await client.showHost('web-1')).toEqual({
      name: 'web-1',
      address: '127.0.0.1',
      alias: 'web-1',
      displayName: 'web-1',
    });
    expect(await client.showHost('WEB-1')).toBeUndefined();
  });
});

describe('a host that Nagios does not know', () => {
  test('is said so, and is no error', async () => {
    expect(await client.scheduleDowntime({ host: 'gone-9', comment: 'x' })).toEqual({
      outcome: 'unknown-host',
    });
  });

  test('is known once a reload brings it, and forgotten once a reload drops it', async () => {
    await nagios.setHosts([...hosts, 'late-1']);
    await schedule(client, 'late-1', 'job late');
    await nagios.setHosts(hosts);
    expect(await client.scheduleDowntime({ host: 'late-1', comment: 'x' })).toEqual({
      outcome: 'unknown-host',
    });
  });
});

describe('wrong settings', () => {
  const attempt = (options: Partial<NagiosOptions>) =>
    clientOf(nagios, options).scheduleDowntime({ host: 'web-1', comment: 'misled' });

  test('of format or zone are named before anything is sent', async () => {
    const before = nagios.requests.length;
    await expect(attempt({ dateFormat: 'iso8601' })).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringContaining('NAGIOS_DATE_FORMAT from iso8601 to us'),
    });
    await expect(attempt({ timezone: 'America/New_York' })).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringMatching(/NAGIOS_TIMEZONE from America\/New_York to .* UTC\+1[23]:00/),
    });
    expect(nagios.requests.slice(before).every(({ method }) => method === 'GET')).toBe(true);
  });

  test('of user or password are told without the password', async () => {
    for (const options of [{ password: 'hunter2' }, { username: 'mallory', password: 'hunter2' }]) {
      await expect(attempt(options)).rejects.toMatchObject({
        code: 'credentials',
        message: expect.stringMatching(/^(?!.*hunter2).*NAGIOS_USERNAME and NAGIOS_PASSWORD/),
      });
    }
    await expect(
      clientOf(nagios, { username: undefined, password: undefined }).probe(),
    ).rejects.toMatchObject({
      code: 'credentials',
      message: expect.stringContaining('asks for a user'),
    });
  });

  test('of the URL are told, and name and password in it stay out of errors', async () => {
    const url = new URL('/nagios/', nagios.url);
    url.username = nagios.username;
    // A password may hold a bare `%`, which a URL leaves as it is.
    url.password = nagios.password;
    const lost = clientOf(nagios, { url: url.href, username: undefined, password: undefined });
    await expect(lost.probe()).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringMatching(/^(?!.*(?:sesame|nagiosadmin)).*answered 404 .* set NAGIOS_URL/),
    });
    url.pathname = new URL(nagios.url).pathname.slice(0, -1);
    await clientOf(nagios, { url: url.href, username: undefined, password: undefined }).probe();
  });
});
