import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HoldCode } from '../../../src/domain/errors.ts';
import type { Event, InboundEvent } from '../../../src/domain/event.ts';
import type { JobState } from '../../../src/domain/job.ts';
import { at, ended, openStore, says, type TestStore } from '../../support/jobs/store-fixture.ts';
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

const aws = (second: number): [Event, Partial<InboundEvent>] => [
  ended(I),
  { place: 'aws', publishedAt: at(second) },
];
const claim = (second: number): [Event, Partial<InboundEvent>] => [
  ended(I),
  { place: 'hosts', publishedAt: at(second) },
];
const host = (second: number, node = 'web-1'): [Event, Partial<InboundEvent>] => [
  says('delete', node, I),
  { place: 'hosts', publishedAt: at(second), signedBy: 'key' },
];

/** A job that came to this state, held or discarded for this reason. */
async function job(
  first: [Event, Partial<InboundEvent>],
  state: JobState,
  code: HoldCode = 'alive',
): Promise<string> {
  const { jobId, tokens } = await it.accept(...first);
  const [token = ''] = tokens;
  const record = await it.begin(token);
  if (!record) throw new Error('the job was not begun');
  const reasons = [{ code, message: code }];
  const held = state === 'held' || state === 'discarded';
  const release = held && code === 'other-instance';
  const moved = await it.store.move(record, ['running'], held ? 'held' : state, {
    ...(held && { reasons, release }),
  });
  expect(moved.moved).toBe(true);
  if (state === 'discarded') await it.store.move({ id: jobId }, ['held'], 'discarded');
  return jobId;
}

const state = async (id: string) => (await it.store.get(id))?.state;
const looksDue = () => it.redis.zrange(`${it.prefix}:zombies`, '0', '-1');

describe('a job looks again', () => {
  test.each<[string, JobState, HoldCode, [Event, Partial<InboundEvent>], [Event, Partial<InboundEvent>]]>([
    ['held because the instance lived, after a later message of AWS', 'held', 'alive', aws(10), aws(20)],
    ['held because AWS could not be asked, after a later word', 'held', 'unverified', aws(10), aws(20)],
    ['held for several nodes, after a later word', 'held', 'several-nodes', aws(10), aws(20)],
    ['held for a claim, after a message of AWS', 'held', 'alive', claim(10), aws(5)],
    ['held for a host’s message, after a message of AWS', 'held', 'protected', host(10), aws(5)],
    ['discarded as a false alarm, after a later message of AWS', 'discarded', 'alive', aws(10), aws(20)],
    ['discarded over the budget, after a later message of AWS', 'discarded', 'over-budget', aws(10), aws(20)],
    ['discarded for a host’s message, after a message of AWS', 'discarded', 'alive', host(10), aws(5)],
    ['failed, after the same word again', 'failed', 'alive', aws(10), aws(10)],
  ])('that is %s', async (_, was, code, first, second) => {
    const id = await job(first, was, code);
    expect(await it.accept(...second)).toMatchObject({ jobId: id, outcome: 'accepted' });
    expect(await state(id)).toBe('queued');
    expect(await it.store.get(id)).not.toHaveProperty('reasons');
  });

  test('from the beginning: it forgets its steps and what was approved', async () => {
    const id = await job(aws(10), 'held');
    await it.redis.hset(`${it.prefix}:job:${id}`, {
      'step:guard': '{"name":"guard","state":"done","at":""}',
      approval: '{"reasons":[{"code":"alive","message":""}]}',
    });
    await it.accept(...aws(20));
    const again = await it.store.get(id);
    expect(again?.steps).toEqual([]);
    expect(again).not.toHaveProperty('approval');
  });
});

describe('a job stays as it is', () => {
  test.each<[string, JobState, HoldCode, [Event, Partial<InboundEvent>], [Event, Partial<InboundEvent>]]>([
    ['held, after a redelivery', 'held', 'alive', aws(10), aws(10)],
    ['held, after an earlier word', 'held', 'alive', aws(10), aws(5)],
    ['held for a person’s decision, after a later word', 'held', 'over-budget', aws(10), aws(20)],
    ['held as protected, after a later word', 'held', 'protected', aws(10), aws(20)],
    ['discarded, after a redelivery', 'discarded', 'alive', aws(10), aws(10)],
    [
      'discarded for the wrong node, after the host repeats it',
      'discarded',
      'other-instance',
      host(10),
      host(20),
    ],
    ['held for the wrong node, after the host repeats it', 'held', 'other-instance', host(10), host(20)],
    ['done, after a later message of AWS', 'done', 'alive', aws(10), aws(20)],
  ])('that is %s', async (_, was, code, first, second) => {
    const id = await job(first, was, code);
    expect(await it.accept(...second)).toMatchObject({ jobId: id, outcome: 'duplicate' });
    expect(await state(id)).toBe(was);
  });
});

test('a claim about the wrong node leaves the instance to AWS’s own message', async () => {
  const wrong = await job(host(10, 'liar'), 'held', 'other-instance');
  const real = await it.accept(...aws(20));
  expect(real.outcome).toBe('accepted');
  expect(real.jobId).not.toBe(wrong);
  expect(await state(wrong)).toBe('held');
});

test('a claim that nobody confirmed does not make an older message of AWS newer', async () => {
  const id = await job(aws(10), 'done');
  await it.accept(...claim(60));
  expect((await it.store.get(id))?.saidAt).toEqual(at(10));
  await it.accept(...aws(30));
  expect((await it.store.get(id))?.saidAt).toEqual(at(30));
});

test('a later word about a job that is done has it checked at once whether the node came back', async () => {
  const id = await job(aws(10), 'done');
  await it.accept(...aws(10));
  expect(await looksDue()).toEqual([]);
  await it.accept(...aws(20));
  expect(await looksDue()).toEqual([`${id}.now`]);
});

test('a message of AWS about a job that a host’s message made done is looked at by instance, as a duplicate', async () => {
  const id = await job(host(10), 'done');
  expect(await it.accept(...aws(20))).toMatchObject({ jobId: id, outcome: 'duplicate' });
  expect(await state(id)).toBe('queued');
});

test('what is added while a worker has the job keeps it from ending unseen', async () => {
  const { jobId, tokens } = await it.accept(...host(10));
  const record = await it.begin(tokens[0] ?? '');
  if (!record) throw new Error('the job was not begun');
  await it.accept(...aws(20));
  const ends = { heard: record.heard };
  expect(await it.store.move(record, ['running'], 'done', ends)).toMatchObject({ moved: false, heard: true });
  const again = await it.store.get(jobId);
  expect(again?.evidence.map(({ from }) => from)).toEqual(['host', 'aws']);
  expect(await it.store.move(record, ['running'], 'done', { heard: again?.heard ?? 0 })).toMatchObject({
    moved: true,
  });
});

describe('the order in which things were said decides', () => {
  test('an ensure counts although nothing was known of a termination', async () => {
    await it.accept(says('ensure', 'web-1', I), { publishedAt: at(20) });
    expect(await it.store.lastSaid('web-1', null)).toMatchObject({ ensured: at(20).getTime() });
  });

  test('a host’s ensure counts for its own name, a person’s for the instance, too', async () => {
    await it.accept(says('ensure', 'web-1', I), { publishedAt: at(20) });
    expect(await it.store.lastSaid(null, I)).toMatchObject({ ensured: 0 });
    await it.accept(
      { kind: 'request', method: 'ensure', node: 'web-1', instanceId: I },
      { source: 'api', place: 'api', publishedAt: at(30) },
    );
    expect(await it.store.lastSaid(null, I)).toMatchObject({ ensured: at(30).getTime() });
  });

  test('an ensure that came earlier but was said later overrules a deletion before it changes anything', async () => {
    const { tokens } = await it.accept(says('ensure', 'web-1', I), { publishedAt: at(20) });
    await it.work(tokens);
    for (const [event, said] of [aws(10), [says('delete', 'web-1'), { publishedAt: at(20) }]] as const) {
      expect(await mayChange(event, said)).toMatchObject({ ensured: at(20).getTime() });
    }
    expect(await mayChange(ended('i-0000000a'), { publishedAt: at(10) })).toBe('allowed');
    expect(await mayChange(ended(I), { publishedAt: at(21) })).toBe('allowed');
  });

  test('a quarantined ensure counts only once somebody approves it', async () => {
    const quarantine = { code: 'unsigned' as const, message: 'nobody signed it' };
    const { jobId } = await it.accept(says('ensure', 'web-1', I), { publishedAt: at(20), quarantine });
    expect((await it.store.lastSaid('web-1', I)).ensured).toBe(0);
    await it.store.move({ id: jobId }, ['held'], 'queued');
    expect((await it.store.lastSaid('web-1', I)).ensured).toBe(at(20).getTime());
  });

  test('a worker that lost its lock may change nothing', async () => {
    expect(await mayChange(ended(I), {}, 'another worker')).toBe('lost');
  });

  async function mayChange(event: Event, news: Partial<InboundEvent>, holder?: string) {
    const { tokens } = await it.accept(event, news);
    const lock = { key: `lock:${tokens[0]}`, value: 'mine', ms: 1_000 };
    await it.redis.set(`${it.prefix}:${lock.key}`, 'mine');
    const record = await it.store.begin(tokens[0] ?? '', 'w', lock);
    if (!record || record === 'lost') throw new Error('the job was not begun');
    if (record.node === null) await it.store.claimNode(record, record.instanceId === I ? 'web-1' : 'web-2');
    if (holder) await it.redis.set(`${it.prefix}:${lock.key}`, holder);
    const answer = await it.store.mayChange(record, lock, false);
    await it.store.move(record, ['running'], 'done');
    return answer;
  }
});
