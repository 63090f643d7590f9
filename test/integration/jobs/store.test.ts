import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { JOB_STATES, type JobKind, type JobState } from '../../../src/domain/job.ts';
import type { JobFilter } from '../../../src/jobs/job-filter.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import { at, ended, ending, openStore, says, type TestStore } from '../../support/jobs/store-fixture.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

let server: RedisServer;
let it: TestStore;
const I = 'i-0a1b2c3d4e5f60718';

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(() => {
  it?.close();
  it = openStore(server.url);
});
afterAll(async () => {
  it?.close();
  await server?.stop();
});

describe('one termination is one job', () => {
  test('however many messages and transports tell of it', async () => {
    const first = await it.accept(ended(I), { source: 'sns' });
    expect(first).toMatchObject({ outcome: 'accepted', tokens: [`${first.jobId}.1`] });
    const again = { jobId: first.jobId, outcome: 'duplicate', tokens: [] };
    expect(await it.accept(ended(I), { source: 'sqs' })).toMatchObject(again);
    expect(await it.accept(says('delete', 'web-1', I), { source: 'sqs' })).toMatchObject(again);
    await it.work(first.tokens);
    expect(await it.accept(ended(I))).toMatchObject(again);
  });

  test('announced by several at the same moment', async () => {
    const receipts = await Promise.all(Array.from({ length: 50 }, () => it.accept(ended(I))));
    expect(new Set(receipts.map(({ jobId }) => jobId)).size).toBe(1);
    expect(receipts.filter(({ outcome }) => outcome === 'accepted')).toHaveLength(1);
  });

  test('and without an instance id, one message', async () => {
    const first = await it.accept(says('delete', 'web-1'), { messageId: 'm1' });
    expect(await it.accept(says('delete', 'web-1'), { messageId: 'm1', source: 'sqs' })).toMatchObject({
      jobId: first.jobId,
      outcome: 'duplicate',
    });
    expect(await it.accept(says('delete', 'web-1'), { messageId: 'm2' })).toMatchObject({
      outcome: 'accepted',
    });
  });

  test('and the downtime ahead of it is another', async () => {
    const warning = await it.accept(ending(I));
    expect(await it.accept(ended(I))).toMatchObject({ outcome: 'accepted' });
    expect(await it.accept(ending(I))).toMatchObject({ outcome: 'duplicate', jobId: warning.jobId });
  });

  test('held for a person it is still the same', async () => {
    const first = await it.accept(ended(I));
    await it.work(first.tokens, 'held');
    expect(await it.accept(ended(I))).toMatchObject({ outcome: 'duplicate', jobId: first.jobId });
  });

  test('failed for good it is opened again by the next message about it', async () => {
    const first = await it.accept(ended(I));
    const job = await it.begin(`${first.jobId}.1`);
    const error = { code: 'rejected' as const, message: 'no' };
    await it.store.move(job as JobRecord, ['running'], 'failed', { error, finishedAt: at(1).toISOString() });
    expect(await it.accept(ended(I))).toMatchObject({
      jobId: first.jobId,
      outcome: 'accepted',
      tokens: [expect.stringContaining(first.jobId)],
    });
    const reopened = await it.store.get(first.jobId);
    expect(reopened).toMatchObject({ state: 'queued', attempts: 0, finishedAt: null });
    expect(reopened).not.toHaveProperty('error');
  });
});

describe('an ensure in between', () => {
  async function deadThenEnsured(state: JobState = 'done', ensured = says('ensure', 'web-1', I)) {
    const termination = await it.accept(ended(I), { publishedAt: at(10) });
    const ensure = await it.accept(ensured, { publishedAt: at(20) });
    const job = (await it.begin(`${termination.jobId}.1`)) as JobRecord;
    await it.store.claimNode(job, 'web-1');
    const moved = await it.store.move(job, ['running'], state);
    if (moved.moved) await it.work(moved.tokens);
    expect(ensure.outcome).toBe('accepted');
    return termination.jobId;
  }

  test('opens a new job for a message about the termination that came after it', async () => {
    const old = await deadThenEnsured();
    const next = await it.accept(ended(I), { publishedAt: at(30) });
    expect(next).toMatchObject({ outcome: 'accepted' });
    expect(next.jobId).not.toBe(old);
    expect(await it.accept(ended(I), { publishedAt: at(31) })).toMatchObject({
      outcome: 'duplicate',
      jobId: next.jobId,
    });
  });

  test('leaves what was published before it an old message', async () => {
    const old = await deadThenEnsured();
    expect(await it.accept(ended(I), { publishedAt: at(15) })).toMatchObject({
      outcome: 'duplicate',
      jobId: old,
    });
  });

  test('keeps an old message from opening a deletion again that failed before it', async () => {
    const old = await deadThenEnsured('failed');
    expect(await it.accept(ended(I), { publishedAt: at(15) })).toMatchObject({
      outcome: 'duplicate',
      jobId: old,
    });
    expect(await it.store.get(old)).toMatchObject({ state: 'failed' });
  });

  test('counts even where it names only the node that the deletion turned out to be about', async () => {
    const termination = await it.accept(ended(I), { publishedAt: at(10) });
    const job = (await it.begin(`${termination.jobId}.1`)) as JobRecord;
    await it.store.claimNode(job, 'web-1');
    await it.store.move(job, ['running'], 'done');
    await it.accept(says('ensure', 'web-1'), { publishedAt: at(20) });
    expect(await it.accept(ended(I), { publishedAt: at(30) })).toMatchObject({ outcome: 'accepted' });
  });

  test('that comes late does not undo a later one', async () => {
    const old = await deadThenEnsured();
    await it.accept(says('ensure', 'web-1', I), { publishedAt: at(5) });
    expect(await it.accept(ended(I), { publishedAt: at(15) })).toMatchObject({
      outcome: 'duplicate',
      jobId: old,
    });
  });
});

describe('a request with a key of its own', () => {
  const request = (node: string, instanceId?: string) => ({
    kind: 'request' as const,
    method: 'delete' as const,
    node,
    ...(instanceId && { instanceId }),
  });
  const ask = (node: string, key: string, instanceId?: string, publishedAt = at(10)) =>
    it.accept(request(node, instanceId), { source: 'api', messageId: `ops:${key}`, publishedAt });

  test('is not taken for a message whose sender chose that key as its id', async () => {
    const forged = await it.accept(says('delete', 'web-9'), { messageId: 'ops:guessed', place: 'hosts' });
    const asked = await ask('web-1', 'guessed');
    expect(asked.outcome).toBe('accepted');
    expect(asked.jobId).not.toBe(forged.jobId);
  });

  test('is the same job again, with or without an instance id', async () => {
    for (const instanceId of [undefined, I]) {
      const first = await ask('web-1', `k-${instanceId}`, instanceId);
      expect(first.outcome).toBe('accepted');
      const again = { jobId: first.jobId, outcome: 'duplicate', tokens: [] };
      expect(await ask('web-1', `k-${instanceId}`, instanceId)).toMatchObject(again);
    }
  });

  test('is the same job even after an ensure', async () => {
    const { jobId } = await ask('web-1', 'k', I);
    await it.accept(says('ensure', 'web-1', I), { publishedAt: at(20) });
    expect(await ask('web-1', 'k', I, at(30))).toMatchObject({ jobId, outcome: 'duplicate' });
    expect(await ask('web-1', 'another key', I, at(30))).toMatchObject({ outcome: 'accepted' });
  });

  test('cannot be another request, and nothing is queued for it', async () => {
    await ask('web-1', 'k');
    for (const [node, instanceId] of [['web-2'], ['web-1', I]] as [string, string?][]) {
      await expect(ask(node, 'k', instanceId)).rejects.toMatchObject({
        code: 'invalid',
        field: 'Idempotency-Key',
      });
    }
    expect((await it.store.list({ limit: 10 })).jobs).toHaveLength(1);
  });

  test('meets what AWS says of the same instance', async () => {
    const { jobId } = await it.accept(ended(I));
    expect(await ask('web-1', 'k', I)).toMatchObject({ jobId, outcome: 'duplicate' });
  });
});

describe('the list', () => {
  /** 60 jobs of 3 nodes, 4 instances, all kinds, in all states. */
  async function fill(): Promise<JobRecord[]> {
    for (let n = 0; n < 60; n++) {
      const node = `web-${n % 3}`;
      const instanceId = n % 4 === 3 ? undefined : `i-0000000${n % 4}`;
      const kind = (['delete', 'ensure', 'downtime'] as const)[n % 5 > 2 ? 0 : n % 5] as JobKind;
      const event = kind === 'downtime' ? ending(instanceId ?? 'i-00000009') : says(kind, node, instanceId);
      const { jobId } = await it.store.accept(
        { event, source: 'sns', place: 'aws', messageId: `m${n}`, publishedAt: at(n), saidAt: at(n) },
        kind,
      );
      const to = JOB_STATES[n % JOB_STATES.length] as JobState;
      if (to !== 'queued') await it.store.move({ id: jobId }, ['queued'], to);
    }
    return (await it.store.list({ limit: 500 })).jobs;
  }

  async function pages(filter: Omit<JobFilter, 'limit'>, limit: number): Promise<JobRecord[][]> {
    const all: JobRecord[][] = [];
    for (let cursor: string | undefined; all.length < 100; ) {
      const { jobs, next } = await it.store.list({ ...filter, limit, cursor });
      all.push(jobs);
      if (next === null) break;
      cursor = next;
    }
    return all;
  }

  test('is newest first', async () => {
    const jobs = await fill();
    expect(jobs.length).toBeGreaterThan(30);
    const places = jobs.map(({ seq }) => seq);
    expect(places).toEqual([...places].sort((a, b) => b - a));
  });

  test('lets through what every combination of filters asks for, page by page, each job once', async () => {
    const all = await fill();
    const choices = {
      kind: [undefined, 'delete', 'ensure', 'downtime'],
      state: [undefined, ...JOB_STATES],
      node: [undefined, 'web-0', 'nobody'],
      instanceId: [undefined, 'i-00000001', 'i-0000000f'],
    } as const;
    for (const kind of choices.kind)
      for (const state of choices.state)
        for (const node of choices.node)
          for (const instanceId of choices.instanceId) {
            const wanted = all.filter(
              job =>
                (!kind || job.kind === kind) &&
                (!state || job.state === state) &&
                (!node || job.node === node) &&
                (!instanceId || job.instanceId === instanceId),
            );
            const filter = { kind, state, node, instanceId };
            const got = await pages(filter, 4);
            expect(got.flat(), JSON.stringify(filter)).toEqual(wanted);
            expect(got.slice(0, -1).every(page => page.length === 4)).toBe(true);
          }
  });

  test('shows each job once while they change state and new ones come', async () => {
    const all = await fill();
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const { jobs, next } = await it.store.list({ limit: 7, cursor });
      seen.push(...jobs.map(({ id }) => id));
      cursor = next ?? undefined;
      for (const job of all) {
        const to = JOB_STATES[(JOB_STATES.indexOf(job.state) + seen.length) % JOB_STATES.length] as JobState;
        await it.store.move({ id: job.id }, JOB_STATES, to);
      }
      await it.accept(says('ensure', 'newcomer'));
    } while (cursor);
    expect(seen).toEqual(all.map(({ id }) => id));
  });

  test('of nothing is empty, and a job that is not there is nothing', async () => {
    expect(await it.store.list({ limit: 50 })).toEqual({ jobs: [], next: null });
    expect(await it.store.get('nobody')).toBeUndefined();
    expect(await it.store.move({ id: 'nobody' }, ['held'], 'queued')).toEqual({
      moved: false,
      state: undefined,
    });
  });
});
