import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { JOB_KINDS, JOB_STATES, type JobState, OPEN_STATES } from '../../../src/domain/job.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import type { Token } from '../../../src/jobs/store.ts';
import { at, ended, ending, openStore, says, type TestStore } from '../../support/jobs/store-fixture.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());

const INSTANCES = ['i-00000001', 'i-00000002', 'i-00000003', 'i-00000004'];
/** Two instances are of one node, as where a name is used again. */
const NODES = ['web-1', 'web-1', 'web-2', 'web-3'];
const nodeOf = (instanceId: string | null) => NODES[INSTANCES.indexOf(instanceId ?? '')] ?? 'web-1';
const isOpen = (state: JobState) => (OPEN_STATES as readonly JobState[]).includes(state);

/** Everything that the scripts keep, as it lies in Redis. */
interface Snapshot {
  jobs: (JobRecord & { keys: string[] })[];
  active: Record<string, string>;
  outbox: string[];
  /** Jobs by turn. */
  lines: Map<string, string[]>;
}

/** Workers, dispatchers and senders that do what they may do at any moment, in any order, more than once. */
class World {
  readonly it: TestStore;
  /** Every token that anyone ever had: each may come to a worker again. */
  readonly handed = new Set<Token>();
  readonly #working: JobRecord[] = [];
  #second = 0;

  constructor(it: TestStore) {
    this.it = it;
  }

  async accept(a: number, b: number): Promise<void> {
    const [instanceId = '', node = ''] = [INSTANCES[a % 4], NODES[b % 4]];
    const named = b % 3 === 0 ? instanceId : undefined;
    const event = [
      ended(instanceId),
      says('delete', node, named),
      says('ensure', node, named),
      ending(instanceId),
    ][b % 4];
    if (!event) return;
    const { tokens } = await this.it.accept(event, { messageId: `m${a}`, publishedAt: at(this.#second++) });
    // Half of the time the process dies before BullMQ has them.
    if (a % 2) await this.#hand(tokens);
  }

  async sweep(): Promise<void> {
    await this.#hand(await this.it.redis.zrange(`${this.it.prefix}:outbox`, '0', '-1'));
  }

  async begin(a: number): Promise<void> {
    const token = [...this.handed][a % Math.max(1, this.handed.size)];
    const job = token && (await this.it.begin(token));
    if (job) this.#working.push(job);
  }

  async claim(a: number): Promise<void> {
    const job = this.#working[a % Math.max(1, this.#working.length)];
    if (!job) return;
    const { goesOn, tokens } = await this.it.store.claimNode(job, job.node ?? nodeOf(job.instanceId));
    if (!goesOn) this.#working.splice(this.#working.indexOf(job), 1);
    await this.#hand(tokens);
  }

  /** Also of a run that is over, by a worker that does not know it yet. */
  async finish(a: number, to: JobState): Promise<void> {
    const [job] = this.#working.splice(a % Math.max(1, this.#working.length), 1);
    if (!job) return;
    const result = await this.it.store.move(job, ['running'], to);
    if (result.moved) await this.#hand(result.tokens);
  }

  async reopen(a: number): Promise<void> {
    const { jobs } = await this.it.store.list({ limit: 500 });
    const job = jobs[a % Math.max(1, jobs.length)];
    const result = job && (await this.it.store.move({ id: job.id }, ['held', 'failed'], 'queued'));
    if (result?.moved) await this.#hand(result.tokens);
  }

  /** From here on only what works may happen, until nothing is left to do. */
  async drain(): Promise<void> {
    for (let round = 0; ; round++) {
      expect(round).toBeLessThan(200);
      await this.sweep();
      const { jobs } = await this.it.store.list({ limit: 500 });
      if (!jobs.some(({ state }) => isOpen(state))) return;
      for (const { id, run, state } of jobs) {
        const job = isOpen(state) && this.handed.has(`${id}.${run}`) && (await this.it.begin(`${id}.${run}`));
        if (!job) continue;
        const claimed = job.node
          ? { goesOn: true }
          : await this.it.store.claimNode(job, nodeOf(job.instanceId));
        if (claimed.goesOn) await this.it.store.move(job, ['running'], 'done');
      }
    }
  }

  async #hand(tokens: Token[]): Promise<void> {
    for (const token of tokens) this.handed.add(token);
    if (tokens.length) await this.it.redis.zrem(`${this.it.prefix}:outbox`, ...tokens);
  }
}

async function look({ redis, prefix, store }: TestStore): Promise<Snapshot> {
  const { jobs } = await store.list({ limit: 500 });
  const withKeys = await Promise.all(
    jobs.map(async job => ({
      ...job,
      keys: JSON.parse((await redis.hget(`${prefix}:job:${job.id}`, 'keys')) ?? '[]') as string[],
    })),
  );
  const names = [...INSTANCES.map(id => `i:${id}`), ...new Set(NODES.map(node => `n:${node}`))];
  const [active, outbox, ...lines] = await Promise.all([
    redis.hgetall(`${prefix}:active`),
    redis.zrange(`${prefix}:outbox`, '0', '-1'),
    ...names.map(name => redis.zrange(`${prefix}:line:${name}`, 0, '-1')),
  ]);
  return {
    jobs: withKeys,
    active,
    outbox,
    lines: new Map(names.map((name, n) => [name, lines[n] as string[]])),
  };
}

/** What must hold at every moment. */
function check(
  { jobs, active, lines, outbox }: Snapshot,
  handed: ReadonlySet<Token>,
  before: Snapshot,
): void {
  const first = (key: string) => lines.get(key)?.[0];
  for (const { id, state, keys, run } of jobs) {
    const inLines = [...lines].filter(([, line]) => line.includes(id)).map(([key]) => key);
    expect(inLines.sort(), `${state} ${id} waits in its own lines while it is open`).toEqual(
      isOpen(state) ? [...keys].sort() : [],
    );
    const works = keys.filter(key => active[key] === id);
    expect([0, keys.length], `${state} ${id} works in all of its lines or in none`).toContain(works.length);
    if (state === 'running' || state === 'retrying') expect(works, `${state} ${id} works`).toEqual(keys);
    if (works.length) {
      expect(outbox.includes(`${id}.${run}`) || handed.has(`${id}.${run}`), `token of ${id}`).toBe(true);
    } else if (isOpen(state)) {
      const waits = keys.some(key => active[key] !== undefined || first(key) !== id);
      expect(waits, `${id} waits for another`).toBe(true);
    }
    const begun = works.length > 0 && !keys.some(key => before.active[key] === id);
    if (begun) for (const key of keys) expect(first(key), `${id} is the first in ${key}`).toBe(id);
  }
  for (const [key, id] of Object.entries(active)) {
    expect(jobs.find(job => job.id === id)?.keys, `${id} works in ${key}`).toContain(key);
  }
}

/** Each job stands in the list of its kind and state, and in no other. */
async function checkLists({ redis, prefix }: TestStore, { jobs }: Snapshot): Promise<void> {
  const lists = JOB_KINDS.flatMap(kind => JOB_STATES.map(state => ({ kind, state })));
  await Promise.all(
    lists.map(async ({ kind, state }) => {
      const wanted = jobs.filter(job => job.kind === kind && job.state === state).map(({ id }) => id);
      expect(await redis.zrevrange(`${prefix}:list:${kind}:${state}`, 0, -1)).toEqual(wanted);
    }),
  );
}

test('two jobs of one node never work at once, each gets its turn, and none is lost, whatever happens', async () => {
  const number = fc.nat(11);
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(fc.constant('accept' as const), number, number) },
    { weight: 4, arbitrary: fc.tuple(fc.constant('begin' as const), number, number) },
    { weight: 3, arbitrary: fc.tuple(fc.constant('claim' as const), number, number) },
    { weight: 4, arbitrary: fc.tuple(fc.constant('finish' as const), number, number) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('sweep' as const), number, number) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('reopen' as const), number, number) },
  );
  const ends = ['done', 'failed', 'held', 'retrying'] as const;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async steps => {
      const world = new World(openStore(server.url));
      try {
        let before = await look(world.it);
        for (const [what, a, b] of steps) {
          if (what === 'finish') await world.finish(a, ends[b % 4] ?? 'done');
          else await world[what](a, b);
          const now = await look(world.it);
          check(now, world.handed, before);
          await checkLists(world.it, now);
          before = now;
        }
        await world.drain();
        const { active, lines, outbox } = await look(world.it);
        expect([active, [...lines.values()].flat(), outbox]).toEqual([{}, [], []]);
      } finally {
        world.it.close();
      }
    }),
    { numRuns: 60 },
  );
});

test('jobs of one node are worked in the order in which they were accepted', async () => {
  const it = openStore(server.url);
  const accepted: string[] = [];
  const tokens: Token[] = [];
  for (let n = 0; n < 20; n++) {
    const receipt = await it.accept(says(n % 2 ? 'ensure' : 'delete', 'web-1'));
    accepted.push(receipt.jobId);
    tokens.push(...receipt.tokens);
  }
  const worked: string[] = [];
  for (let token = tokens.shift(); token; token = tokens.shift()) {
    worked.push(token.split('.')[0] ?? '');
    tokens.push(...(await it.work([token], worked.length % 3 ? 'done' : 'held')));
  }
  expect(worked).toEqual(accepted);
  it.close();
});

test('a job that learns its node waits there for those that are before it', async () => {
  const it = openStore(server.url);
  const termination = await it.accept(ended('i-00000001'));
  const named = await it.accept(says('delete', 'web-1'));
  expect(named.tokens).toHaveLength(1);
  const working = await it.begin(named.tokens[0] ?? '');
  const job = (await it.begin(termination.tokens[0] ?? '')) as JobRecord;
  expect(await it.store.claimNode(job, 'web-1')).toEqual({ goesOn: false, tokens: [] });
  expect(await it.begin(termination.tokens[0] ?? ''), 'its token is used up').toBeUndefined();
  const result = await it.store.move(working as JobRecord, ['running'], 'done');
  expect(result.moved && result.tokens[0]?.split('.')[0]).toBe(termination.jobId);
  const again = (await it.begin((result.moved && result.tokens[0]) || '')) as JobRecord;
  expect(await it.store.claimNode(again, 'web-1')).toEqual({ goesOn: true, tokens: [] });
  it.close();
});
