import { describe, expect, test } from 'vitest';
import { NagiosClient, type NagiosOptions } from '../../../../src/clients/nagios/client.ts';
import { type Nagios, type NagiosOptions as PartOptions, startNagios } from '../../../support/nagios.ts';

/** Runs with a Nagios of its own and a client whose settings fit it, by default. */
async function withNagios(
  part: Partial<PartOptions>,
  use: (nagios: Nagios, client: NagiosClient) => Promise<void>,
  options: Partial<NagiosOptions> = {},
): Promise<void> {
  const nagios = await startNagios({ hosts: ['web-1'], ...part });
  const { url, username, password } = nagios;
  const client = new NagiosClient({
    ...{ url, username, password, downtimeMinutes: 60 },
    dateFormat: part.dateFormat ?? 'us',
    timezone: part.timezone,
    ...options,
  });
  try {
    await use(nagios, client);
  } finally {
    await client.close();
    await nagios.stop();
  }
}

async function standing(client: NagiosClient): Promise<void> {
  const scheduled = await client.scheduleDowntime({ host: 'web-1', comment: 'job 1' });
  if (scheduled.outcome !== 'submitted') throw new Error(scheduled.outcome);
  await client.awaitDowntime({ host: 'web-1', comment: 'job 1', ...scheduled }, { timeoutMs: 15_000 });
}

describe.concurrent('a downtime stands', () => {
  test.for([
    ['us', 'America/St_Johns'],
    ['euro', 'Pacific/Auckland'],
    ['iso8601', 'Asia/Kathmandu'],
    ['strict-iso8601', 'America/Los_Angeles'],
  ] as const)('with date_format %s in %s', async ([dateFormat, timezone]) => {
    await withNagios({ dateFormat, timezone }, async (_, client) => standing(client));
  });

  test('in the zone of this host where none is set', async () => {
    await withNagios({}, async (_, client) => standing(client));
  });

  test.for(['digest', 'digest-sha-256'] as const)(
    'behind %s authentication, one refusal in all',
    async auth => {
      await withNagios({ auth }, async (nagios, client) => {
        await standing(client);
        expect(nagios.requests.filter(({ status }) => status === 401)).toHaveLength(1);
        nagios.gateway.forgetNonces();
        await client.scheduleDowntime({ host: 'web-1', comment: 'job 2' });
        expect(nagios.requests.filter(({ status }) => status === 401)).toHaveLength(2);
      });
    },
  );
});

describe.concurrent('a Nagios that', () => {
  test('refuses the password by digest is asked twice and no more', async () => {
    await withNagios(
      { auth: 'digest' },
      async (nagios, client) => {
        await expect(client.probe()).rejects.toMatchObject({ code: 'credentials' });
        expect(nagios.requests).toHaveLength(2);
      },
      { password: 'hunter2' },
    );
  });

  test('wants the author told gets the user', async () => {
    await withNagios({ lockAuthors: false }, async (nagios, client) => {
      await standing(client);
      const made = await nagios.downtimes();
      expect(made.map(({ author }) => author)).toEqual(['nagiosadmin', 'nagiosadmin', 'nagiosadmin']);
    });
  });

  test('knows the host but does not let the user schedule says what to allow', async () => {
    await withNagios({ authorized: false }, async (_, client) => {
      await expect(client.scheduleDowntime({ host: 'web-1', comment: 'x' })).rejects.toMatchObject({
        code: 'permission',
        message: expect.stringMatching(/user nagiosadmin .* web-1: .*authorized_for_all_host_commands/),
      });
    });
  });

  test('takes no external commands says so in its own words', async () => {
    await withNagios({ externalCommands: false }, async (_, client) => {
      await expect(client.scheduleDowntime({ host: 'web-1', comment: 'x' })).rejects.toMatchObject({
        code: 'rejected',
        message: expect.stringContaining('Nagios is currently not checking for external commands'),
      });
    });
  });

  test('has its daemon stopped is unavailable, within the time limit', async () => {
    await withNagios(
      {},
      async (nagios, client) => {
        await client.probe();
        await nagios.daemon.stop();
        const unavailable = { code: 'unavailable' };
        await expect(client.scheduleDowntime({ host: 'web-1', comment: 'x' })).rejects.toMatchObject(
          unavailable,
        );
        await expect(client.listDowntimes()).rejects.toMatchObject(unavailable);
        await expect(client.probe()).rejects.toMatchObject(unavailable);
        const awaited = { host: 'web-1', comment: 'x', submittedAt: new Date() };
        await expect(client.awaitDowntime(awaited, { timeoutMs: 100 })).rejects.toMatchObject(unavailable);
      },
      { timeoutMs: 500 },
    );
  });

  test('has its daemon killed leaves the proof open, not denied', async () => {
    await withNagios({}, async (nagios, client) => {
      await nagios.daemon.stop('SIGKILL');
      const awaited = { host: 'web-1', comment: 'x', submittedAt: new Date() };
      await expect(client.awaitDowntime(awaited, { timeoutMs: 100 })).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('is its daemon running?'),
      });
    });
  });

  test('refuses connections is unavailable until it is back', async () => {
    await withNagios({}, async (nagios, client) => {
      await nagios.gateway.refuse();
      await expect(client.probe()).rejects.toMatchObject({ code: 'unavailable' });
      await nagios.gateway.open();
      await client.probe();
    });
  });
});
