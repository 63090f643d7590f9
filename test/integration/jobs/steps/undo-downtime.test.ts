import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NagiosClient } from '../../../../src/clients/nagios/client.ts';
import type { AskedDowntime, JobRecord } from '../../../../src/jobs/record.ts';
import { downtimeComment } from '../../../../src/jobs/steps/downtime.ts';
import { undoDowntime } from '../../../../src/jobs/steps/undo-downtime.ts';
import { type Nagios, startNagios, without } from '../../../support/nagios.ts';
import { until } from '../../../support/process.ts';

/** Long enough that what was just submitted is not shown yet. */
const STATUS_UPDATE_SECONDS = 5;

let nagios: Nagios;
let client: NagiosClient;
let next = 0;

beforeAll(async () => {
  nagios = await startNagios({ hosts: ['web-1', 'web-2'], statusUpdateSeconds: STATUS_UPDATE_SECONDS });
  client = clientOf();
});

beforeEach(() => nagios.gateway.fail());

afterAll(async () => {
  await client?.close();
  await nagios?.stop();
});

function clientOf(): NagiosClient {
  const { url, username, password } = nagios;
  return new NagiosClient({ url, username, password, downtimeMinutes: 60, dateFormat: 'us' });
}

function jobOf(downtime?: AskedDowntime): JobRecord {
  return { id: `job-${++next}`, facts: { downtime } } as JobRecord;
}

/** A job that asked for a downtime; without the end that Nagios would have told, if the answer was lost. */
async function asking({ isLost = false } = {}): Promise<JobRecord> {
  const host = 'web-1';
  const job = jobOf({ host, submittedAt: new Date().toISOString() });
  const scheduled = await client.scheduleDowntime({ host, comment: downtimeComment(job.id) });
  if (scheduled.outcome !== 'submitted') throw new Error(scheduled.outcome);
  const { submittedAt, end } = scheduled;
  if (!isLost) job.facts.downtime = { host, submittedAt: submittedAt.toISOString(), end: end.toISOString() };
  return job;
}

async function standing({ id }: JobRecord): Promise<number> {
  const all = await nagios.downtimes();
  return all.filter(({ comment }) => comment === downtimeComment(id)).length;
}

async function statusUpdate(): Promise<void> {
  const { lastUpdate } = await client.listDowntimes();
  await until(
    'a status update',
    async () => (await client.listDowntimes()).lastUpdate.getTime() > lastUpdate.getTime(),
    15_000,
  );
}

/** Also at the update after next: none comes late. */
async function staysGone(job: JobRecord): Promise<void> {
  await until('the downtimes to be gone', async () => (await standing(job)) === 0, 15_000);
  await statusUpdate();
  expect(await standing(job)).toBe(0);
}

describe.concurrent('the downtime of a job that does not go on', () => {
  test('is cancelled, of the host and of its services, and nobody else’s', async () => {
    const [job, other] = [await asking(), await asking()];
    await until(
      'both to stand',
      async () => (await standing(job)) === 3 && (await standing(other)) === 3,
      15_000,
    );
    expect(await undoDowntime({ nagios: client }, job)).toEqual({
      state: 'done',
      note: '3 downtimes cancelled, of web-1 and its services',
      facts: { downtime: undefined },
    });
    await staysGone(job);
    expect(await standing(other)).toBe(3);
  });

  test('is cancelled though Nagios does not show it yet', async () => {
    await statusUpdate();
    const job = await asking();
    expect(await undoDowntime({ nagios: client }, job)).toMatchObject({
      state: 'done',
      note: expect.stringContaining('3 downtimes cancelled'),
    });
    await staysGone(job);
  });

  test('is cancelled though the answer to its command was lost', async () => {
    const job = await asking({ isLost: true });
    expect(await undoDowntime({ nagios: client }, job)).toMatchObject({ state: 'done' });
    await staysGone(job);
  });

  test('is cancelled though the clock of the process that asked for it is an hour off', async () => {
    for (const offset of [-3_600_000, 3_600_000]) {
      const job = await asking();
      const { downtime } = job.facts;
      if (downtime) downtime.submittedAt = new Date(Date.now() + offset).toISOString();
      expect(await undoDowntime({ nagios: client }, job)).toMatchObject({
        state: 'done',
        note: expect.stringContaining('3 downtimes cancelled'),
      });
      await staysGone(job);
    }
  });

  test('that Nagios never made is waited for until Nagios would show it, and no longer', async () => {
    const job = jobOf({ host: 'web-2', submittedAt: new Date().toISOString() });
    expect(await undoDowntime({ nagios: client }, job)).toEqual({
      state: 'done',
      note: 'Nagios has no downtime of web-2 to cancel',
      facts: { downtime: undefined },
    });
  });
});

test('a job that asked for no downtime has none undone, and Nagios is not asked', async () => {
  const before = nagios.requests.length;
  expect(await undoDowntime({ nagios: client }, jobOf())).toBeUndefined();
  expect(await undoDowntime({ nagios: undefined }, await asking())).toBeUndefined();
  expect(nagios.requests.slice(before).every(({ cgi }) => cgi === 'cmd.cgi')).toBe(true);
});

test('a Nagios that is away for a moment is asked again', async () => {
  const job = await asking();
  await nagios.gateway.refuse();
  const undoing = undoDowntime({ nagios: client }, job);
  await nagios.gateway.open();
  expect(await undoing).toMatchObject({
    state: 'done',
    note: expect.stringContaining('3 downtimes cancelled'),
  });
  await staysGone(job);
});

test('what cannot be cancelled is reported, with what to look for in Nagios', async () => {
  const job = await asking();
  const advice = `cancel in Nagios what has the comment "${downtimeComment(job.id)}"`;
  await nagios.gateway.refuse();
  const away = await undoDowntime({ nagios: client, timeoutMs: 1_500 }, job);
  await nagios.gateway.open();
  nagios.gateway.fail(without(['statusjson.cgi']));
  const cannotShow = await undoDowntime({ nagios: client }, job);
  for (const result of [away, cannotShow]) {
    expect(result).toMatchObject({ state: 'failed', note: expect.stringContaining(advice) });
    expect(result).not.toHaveProperty('facts');
  }
  expect(cannotShow?.note).toContain('since 4.0.7');
});

test('a service that stops does not wait for it', async () => {
  const closing = clientOf();
  const undoing = undoDowntime(
    { nagios: closing },
    jobOf({ host: 'web-2', submittedAt: new Date().toISOString() }),
  );
  await until('Nagios to be asked', () => nagios.requests.at(-1)?.cgi === 'statusjson.cgi');
  const began = Date.now();
  await closing.close();
  expect(await undoing).toMatchObject({ state: 'failed' });
  expect(Date.now() - began).toBeLessThan(3_000);
});
