import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reasonsAgainstNode } from '../../../src/domain/deletion-guard.ts';
import type { InboundEvent } from '../../../src/domain/event.ts';
import { isOnlyClaimed } from '../../../src/domain/evidence.ts';
import { decide } from '../../../src/domain/policy.ts';
import { terminationOf } from '../../../src/jobs/steps/look.ts';
import type { Token } from '../../../src/jobs/store.ts';
import { at, ended, openStore, says, type TestStore } from '../../support/jobs/store-fixture.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

const NAME = 'web-1';
const MINUTE = 60_000;
const A = 'i-0000000000000000a';
const B = 'i-0000000000000000b';
type Instance = typeof A | typeof B;

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());

/** Something that is said at a minute of the story: true if it is the host's own or AWS's, or else forged. */
interface Said {
  minute: number;
  instance: Instance;
  says: 'delete' | 'ensure' | 'terminated';
  forged: boolean;
}

/** Instance A has the name, powers off and on, and ends or not; then B may take the name. Others lie about both. */
const story = fc
  .record({
    ofA: fc.uniqueArray(
      fc.record({ minute: fc.integer({ min: 1, max: 40 }), says: fc.constantFrom('delete', 'ensure') }),
      { selector: ({ minute }) => minute, maxLength: 5 },
    ),
    endOfA: fc.option(fc.integer({ min: 41, max: 50 })),
    startOfB: fc.option(fc.integer({ min: 51, max: 60 })),
    lies: fc.array(
      fc.record({
        minute: fc.integer({ min: 1, max: 70 }),
        instance: fc.constantFrom<Instance>(A, B),
        says: fc.constantFrom('delete', 'terminated'),
      }),
      { maxLength: 4 },
    ),
  })
  .map(({ ofA, endOfA, startOfB, lies }) => {
    const said: Said[] = [
      ...ofA.map(each => ({ ...each, instance: A, forged: false }) as Said),
      ...(endOfA === null
        ? []
        : [{ minute: endOfA, instance: A, says: 'terminated', forged: false } as Said]),
      ...(startOfB === null
        ? []
        : [{ minute: startOfB, instance: B, says: 'ensure', forged: false } as Said]),
      ...lies.map(lie => ({ ...lie, forged: true }) as Said),
    ];
    return { said, holder: startOfB === null ? A : B };
  });

const history = story.chain(({ said, holder }) =>
  fc.record({
    said: fc.constant(said),
    holder: fc.constant(holder as Instance),
    // Each is delivered up to three times, in any order, with work done in between or not.
    deliveries: fc
      .shuffledSubarray([...said, ...said, ...said], { minLength: said.length })
      .chain(all => fc.tuple(fc.constant(all), fc.array(fc.boolean(), { minLength: all.length }))),
  }),
);

function isTerminated(instance: Instance, said: readonly Said[]): boolean {
  return said.some(each => !each.forged && each.instance === instance && each.says === 'terminated');
}

/** The oracle: an instance lives unless AWS truly ended it, or its own last word is that it goes. */
function lives(instance: Instance, said: readonly Said[]): boolean {
  const own = said.filter(each => !each.forged && each.instance === instance);
  if (isTerminated(instance, said)) return false;
  const last = own.toSorted((one, other) => other.minute - one.minute)[0];
  return last?.says !== 'delete';
}

function newsOf({ minute, instance, says, forged }: Said): InboundEvent {
  const at = new Date(minute * MINUTE);
  const delivery = { source: 'sqs' as const, publishedAt: at, saidAt: at };
  const messageId = `${minute}-${instance}-${says}-${forged}`;
  if (says === 'terminated') {
    const event = { kind: 'instance-ended' as const, notice: says, instanceId: instance };
    return { ...delivery, messageId, event, place: forged ? 'hosts' : 'aws' };
  }
  const event = { kind: 'registration' as const, method: says, node: NAME, instanceId: instance };
  const quarantine = forged && { code: 'unsigned' as const, message: 'nobody signed it' };
  return { ...delivery, messageId, event, place: 'hosts', ...(quarantine && { quarantine }) };
}

/** What workers do, as far as the store and the guard decide it. @returns the instances that they removed */
async function workAll(it: TestStore, first: Token[], chef: { holder?: Instance }, said: readonly Said[]) {
  const removed: Instance[] = [];
  const tokens = [...first];
  for (let token = tokens.shift(); token; token = tokens.shift()) {
    const lock = { key: `lock:${token}`, value: randomUUID(), ms: 10_000 };
    await it.redis.set(`${it.prefix}:${lock.key}`, lock.value);
    const job = await it.store.begin(token, randomUUID(), lock);
    if (!job || job === 'lost') continue;
    const node = chef.holder && { instanceId: chef.holder, ohaiTime: undefined };
    // EC2 knows the truth.
    const confirmed = !isOnlyClaimed(job) || isTerminated(job.instanceId as Instance, said);
    const reasons = node ? reasonsAgainstNode(terminationOf(job, NAME), node, 'ec2.instance_id') : [];
    if (job.kind === 'delete' && confirmed && node && reasons.length === 0) {
      if (job.node === null) await it.store.claimNode(job, NAME);
      if ((await it.store.mayChange(job, lock, false)) === 'allowed') {
        removed.push(node.instanceId);
        delete chef.holder;
      }
    }
    const state = confirmed && reasons.length === 0 ? 'done' : 'held';
    const moved = await it.store.move(job, ['running'], state, {
      ...(state === 'held' && { reasons: [{ code: 'alive', message: 'it lives' }] }),
    });
    if (moved.moved) tokens.push(...moved.tokens);
  }
  return removed;
}

test('no living machine is removed, in whatever order and however often true and forged messages arrive', async () => {
  await fc.assert(
    fc.asyncProperty(history, async ({ said, holder, deliveries: [deliveries, works] }) => {
      const it = openStore(server.url);
      try {
        const chef: { holder?: Instance } = { holder };
        const waiting: Token[] = [];
        for (const [at, each] of deliveries.entries()) {
          const news = newsOf(each);
          const kind = decide(news.event);
          if (kind === 'ignore') throw new Error('nothing to accept');
          const { tokens } = await it.store.accept(news, kind);
          waiting.push(...tokens);
          if (!works[at]) continue;
          for (const removed of await workAll(it, waiting.splice(0), chef, said)) {
            // What was heard so far may be old; only what was never overruled by then may go.
            const heard = deliveries.slice(0, at + 1);
            expect(lives(removed, heard) && !isTerminated(removed, said)).toBe(false);
          }
          if (chef.holder === undefined && lives(holder, deliveries.slice(0, at + 1))) chef.holder = holder;
        }
        const all = lives(holder, said);
        for (const removed of await workAll(it, waiting, chef, said)) {
          expect(removed === holder && all).toBe(false);
        }
      } finally {
        it.close();
      }
    }),
    { numRuns: 300 },
  );
}, 240_000);

test('a host that names the instance of another in its ensure does not keep the other from being deleted', async () => {
  const it = openStore(server.url);
  try {
    const ensure = await it.accept(says('ensure', 'evil-1', A), { place: 'hosts', publishedAt: at(20) });
    await it.work(ensure.tokens);
    const { jobId, tokens, outcome } = await it.accept(ended(A), { publishedAt: at(10) });
    expect(outcome).toBe('accepted');
    const [job] = await Promise.all(tokens.map(it.begin));
    if (!job) throw new Error('no job to work');
    await it.store.claimNode(job, NAME);
    expect((await it.store.lastSaid(NAME, A)).ensured).toBe(0);
    expect((await it.store.get(jobId))?.node).toBe(NAME);
  } finally {
    it.close();
  }
});

test('what a host says of its own name overrules a deletion by instance that was said before', async () => {
  const it = openStore(server.url);
  try {
    await it.accept(says('ensure', NAME, A), { place: 'hosts', publishedAt: at(20) });
    expect((await it.store.lastSaid(NAME, A)).ensured).toBe(at(20).getTime());
  } finally {
    it.close();
  }
});
