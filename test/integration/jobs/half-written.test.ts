import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Event, InboundEvent } from '../../../src/domain/event.ts';
import { decide } from '../../../src/domain/policy.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import { type RunScript, type ScriptName, scriptText } from '../../../src/jobs/scripts.ts';
import { JobStore } from '../../../src/jobs/store.ts';
import { FAULTY } from '../../support/jobs/faulty-script.ts';
import { at, ended, openStore, says, type TestStore } from '../../support/jobs/store-fixture.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

const I = 'i-0a1b2c3d4e5f60718';
let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());

/** A store whose scripts can be made to fail once, at their nth command. */
interface FailingStore {
  it: TestStore;
  store: JobStore;
  /** The command of this script that fails next; whether it was reached is told by `failed`. */
  failAt: (script: ScriptName, command: number) => void;
  failed: () => boolean;
}

function openFailingStore(): FailingStore {
  const it = openStore(server.url);
  let next: { script: ScriptName; command: number } | undefined;
  let reached = false;
  const run: RunScript = async (script, ...args) => {
    const command = next?.script === script ? next.command : 0;
    if (command > 0) next = undefined;
    try {
      const reply = await it.redis.eval(FAULTY + scriptText(script), 1, it.prefix, ...args, command);
      // accept.lua answers for each of its events.
      reached ||= Array.isArray(reply) && reply.some(each => each instanceof Error);
      return reply;
    } catch (error) {
      reached = true;
      throw error;
    }
  };
  return {
    it,
    store: new JobStore(it.redis, run, it.prefix),
    failAt(script, command) {
      next = { script, command };
      reached = false;
    },
    failed: () => reached,
  };
}

async function accept({ store }: FailingStore, event: Event, news: Partial<InboundEvent> = {}) {
  const kind = decide(event);
  if (kind === 'ignore') throw new Error('nothing to accept');
  const publishedAt = news.publishedAt ?? at(10);
  const given = {
    source: 'sqs' as const,
    place: 'aws' as const,
    messageId: 'm',
    publishedAt,
    saidAt: publishedAt,
  };
  return store.accept({ ...given, ...news, event }, kind);
}

const acceptUnsigned = (stores: FailingStore, messageId: string) =>
  accept(stores, says('delete', 'web-1', I), {
    messageId,
    place: 'hosts',
    quarantine: { code: 'unsigned', message: 'it is not signed' },
  });

/** Tries again, as SNS, SQS and BullMQ do. */
async function twice<T>(act: () => Promise<T>): Promise<T> {
  return act().catch(act);
}

/** Works everything that is in the outbox, as workers do, until nothing is left. @returns the jobs in their order */
async function workAll({ it, store }: FailingStore, state: 'done' | 'held' = 'done'): Promise<string[]> {
  const worked: string[] = [];
  for (;;) {
    const [token] = await it.redis.zpopmin(`${it.prefix}:outbox`);
    if (token === undefined) return worked;
    const lock = { key: `lock:${token}`, value: randomUUID(), ms: 10_000 };
    await it.redis.set(`${it.prefix}:${lock.key}`, lock.value);
    const begun = await twice(() => store.begin(token, 'w', lock));
    if (!begun || begun === 'lost') continue;
    const job: JobRecord = begun;
    if (job.node === null) {
      const { goesOn } = await twice(() => store.claimNode(job, 'web-1'));
      if (!goesOn) continue;
    }
    await twice(() => store.mayChange(job, lock, false));
    const reasons = state === 'held' ? [{ code: 'alive' as const, message: 'it lives' }] : [];
    const moved = await twice(() => store.move(job, ['running'], state, { reasons }));
    if (moved.moved) worked.push(job.id);
  }
}

/** Nothing is left over: no line, no job that works, and no open job. */
async function expectAtRest({ it, store }: FailingStore, states: string[]): Promise<void> {
  expect(await it.redis.keys(`${it.prefix}:line:*`)).toEqual([]);
  expect(await it.redis.hgetall(`${it.prefix}:active`)).toEqual({});
  const { jobs } = await store.list({ limit: 100 });
  expect(jobs.map(({ state }) => state)).toEqual(states);
}

/** A story in which one script is run once as what is looked at; it is tried again where it failed. */
interface Story {
  script: ScriptName;
  before?: (stores: FailingStore) => Promise<unknown>;
  act: (stores: FailingStore) => Promise<unknown>;
  /** Of all jobs at the end, the newest first. */
  states: string[];
}

const STORIES: Record<string, Story> = {
  'the termination of an instance is accepted': {
    script: 'accept',
    act: stores => accept(stores, ended(I)),
    states: ['done'],
  },
  'a lifecycle action is accepted': {
    script: 'accept',
    act: stores => accept(stores, { ...ended(I), lifecycle: { group: 'g', hook: 'h' } } as Event),
    states: ['done'],
  },
  'a request of a person is accepted': {
    script: 'accept',
    act: stores =>
      accept(
        stores,
        { kind: 'request', method: 'delete', node: 'web-1', instanceId: I },
        {
          source: 'api',
          messageId: 'ops:key',
          requestedBy: 'ops',
        },
      ),
    states: ['done'],
  },
  'an ensure of a host is accepted': {
    script: 'accept',
    act: stores => accept(stores, says('ensure', 'web-1', I)),
    states: ['done'],
  },
  'a second job of a node is accepted': {
    script: 'accept',
    before: stores => accept(stores, says('ensure', 'web-1', I)),
    act: stores => accept(stores, ended(I), { messageId: 'n', publishedAt: at(20) }),
    states: ['done', 'done'],
  },
  'a later message opens a held job again': {
    script: 'accept',
    before: async stores => {
      await accept(stores, ended(I));
      await workAll(stores, 'held');
    },
    act: stores => accept(stores, ended(I), { messageId: 'n', publishedAt: at(20) }),
    states: ['done'],
  },
  'a person opens a job again that is done': {
    script: 'accept',
    before: async stores => {
      await accept(stores, ended(I));
      await workAll(stores);
    },
    act: stores =>
      accept(
        stores,
        { kind: 'request', method: 'delete', node: 'web-1', instanceId: I },
        {
          source: 'api',
          messageId: 'ops:key',
          publishedAt: at(20),
        },
      ),
    states: ['done'],
  },
  'a quarantined message is accepted, and the oldest of its node goes for it': {
    script: 'accept',
    before: async stores => {
      for (let n = 0; n < 10; n++) await acceptUnsigned(stores, `m${n}`);
    },
    act: stores => acceptUnsigned(stores, 'm10'),
    states: Array(10).fill('held'),
  },
  'a job begins': {
    script: 'begin',
    before: stores => accept(stores, ended(I)),
    act: workAll,
    states: ['done'],
  },
  'a job learns its node': {
    script: 'claim',
    before: stores => accept(stores, ended(I)),
    act: workAll,
    states: ['done'],
  },
  'a job learns a node that another one works on': {
    script: 'claim',
    before: async stores => {
      await accept(stores, says('ensure', 'web-1'), { publishedAt: at(1) });
      await accept(stores, ended(I));
    },
    act: workAll,
    states: ['done', 'done'],
  },
  'a job changes Chef': {
    script: 'change-chef',
    before: stores => accept(stores, ended(I)),
    act: workAll,
    states: ['done'],
  },
  'a job ends, and the next of its node begins': {
    script: 'move',
    before: async stores => {
      await accept(stores, says('delete', 'web-1', I));
      await accept(stores, says('ensure', 'web-1', I), { messageId: 'n', publishedAt: at(20) });
    },
    act: workAll,
    states: ['done', 'done'],
  },
  'a person approves a held job': {
    script: 'move',
    before: async stores => {
      await accept(stores, ended(I));
      await workAll(stores, 'held');
    },
    act: async stores => {
      const [job] = (await stores.store.list({ limit: 1 })).jobs;
      await stores.store.move({ id: job?.id ?? '' }, ['held'], 'queued', { approvedBy: 'ops', again: true });
    },
    states: ['done'],
  },
  'a node came back after its deletion': {
    script: 'revive',
    before: async stores => {
      await accept(stores, ended(I));
      await workAll(stores);
    },
    act: async stores => {
      const [job] = (await stores.store.list({ limit: 1 })).jobs;
      if (job) await stores.store.revive(job);
    },
    states: ['done'],
  },
};

test.each(Object.entries(STORIES))(
  '%s: whichever command of the script fails, trying again makes it whole',
  async (_, { script, before, act, states }) => {
    let commands = 0;
    for (let failing = true; failing; ) {
      commands += 1;
      const stores = openFailingStore();
      try {
        await before?.(stores);
        stores.failAt(script, commands);
        await twice(() => act(stores));
        failing = stores.failed();
        await workAll(stores);
        await expectAtRest(stores, states);
      } finally {
        stores.it.close();
      }
    }
    expect(commands).toBeGreaterThan(3);
  },
  120_000,
);
