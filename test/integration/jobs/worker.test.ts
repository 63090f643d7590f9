import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { redisCheck } from '../../../src/clients/redis/durability.ts';
import { AppError, type HoldCode } from '../../../src/domain/errors.ts';
import { STEP_NAMES } from '../../../src/domain/job.ts';
import { Outages } from '../../../src/jobs/outages.ts';
import { createOutboxDispatcher, type Dispatcher, QUEUE } from '../../../src/jobs/outbox.ts';
import { RescheduleError, type Step, type Steps } from '../../../src/jobs/run-steps.ts';
import { JobStore } from '../../../src/jobs/store.ts';
import { type RunningWorker, startWorker } from '../../../src/jobs/worker.ts';
import { at, ended, openStore, says, type TestStore } from '../../support/jobs/store-fixture.ts';
import { until } from '../../support/process.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

const log = pino({ level: 'silent' });
let server: RedisServer;
let blocking: Redis;
let it: TestStore;
let dispatcher: Dispatcher;
let workers: RunningWorker[];

beforeAll(async () => {
  server = await startRedis();
  blocking = new Redis(server.url, { maxRetriesPerRequest: null });
});
beforeEach(() => {
  it = openStore(server.url);
  dispatcher = createOutboxDispatcher(it.redis, it.run, it.prefix, log);
  workers = [];
});
afterEach(async () => {
  await Promise.all(workers.map(worker => worker.close()));
  await dispatcher.close();
  it.close();
});
afterAll(async () => {
  blocking?.disconnect();
  await server?.stop();
});

const noStep: Step = async () => ({ state: 'done' });
const stepsWith = (find: Step) =>
  ({ ...Object.fromEntries(STEP_NAMES.map(name => [name, noStep])), find }) as Steps;

function work(find: Step = noStep, { store = it.store } = {}): void {
  const worker = startWorker(
    { prefix: it.prefix, concurrency: 1, lockMs: 500 },
    {
      redis: blocking,
      check: redisCheck(it.redis, { prefix: it.prefix, user: 'default', replicas: false, log }),
      store,
      dispatcher,
      steps: stepsWith(find),
      log,
      outages: new Outages([], log),
      heartbeat: async () => {},
      stamp: async () => {},
      undo: async () => {},
      onTrouble: () => {},
      onSettled: () => {},
    },
  );
  workers.push(worker);
}

async function accept(node = 'web-1'): Promise<{ id: string; token: string }> {
  const { jobId, tokens } = await it.accept(says('delete', node));
  dispatcher.dispatch(tokens);
  return { id: jobId, token: tokens[0] ?? '' };
}

const done = (id: string) =>
  until('the job to be done', async () => (await it.store.get(id))?.state === 'done');

test('a worker that was stopped between taking a job and beginning it leaves it to the one that has it now', async () => {
  const { id, token } = await accept();
  const late = Promise.withResolvers<void>();
  const began: string[] = [];
  /** On its way to the job until the lock is lost. */
  class LateStore extends JobStore {
    override async begin(...args: Parameters<JobStore['begin']>) {
      began.push('late');
      await late.promise;
      return super.begin(...args);
    }
  }
  work(noStep, { store: new LateStore(it.redis, it.run, it.prefix) });
  await until('the first to take it', () => began.length > 0);
  await it.redis.del(`${it.prefix}:${QUEUE}:${token}:lock`);
  const working = Promise.withResolvers<void>();
  work(async () => {
    began.push('other');
    await working.promise;
    return { state: 'done' };
  });
  await until('the other to begin it', () => began.includes('other'));
  const { worker } = (await it.store.get(id)) ?? {};
  late.resolve();
  await workers[0]?.close();
  expect((await it.store.get(id))?.worker, 'who has it').toBe(worker);
  working.resolve();
  await done(id);
});

test('a job whose record says that another has it comes back while BullMQ says that nobody has', async () => {
  const { id } = await accept();
  let times = 0;
  work(async () => {
    if (times++ === 0) await it.redis.hset(`${it.prefix}:job:${id}`, 'worker', 'somebody else');
    return { state: 'done' };
  });
  await done(id);
  expect(times).toBe(2);
});

test('a job that only waits gives way to others, comes back, and burns no attempt by it', async () => {
  const [first, second] = [await accept('web-1'), await accept('web-2')];
  const order: string[] = [];
  work(async ({ event }) => {
    const node = 'node' in event ? event.node : '';
    order.push(node);
    if (node === 'web-1' && !order.includes('web-2')) throw new RescheduleError(100);
    return { state: 'done' };
  });
  for (const { id } of [first, second]) await done(id);
  expect(order.slice(0, 2)).toEqual(['web-1', 'web-2']);
  expect(order.at(-1)).toBe('web-1');
  const { attempts, steps } = (await it.store.get(first.id)) ?? {};
  expect({ attempts, failed: steps?.filter(({ state }) => state === 'failed') }).toEqual({
    attempts: 1,
    failed: [],
  });
});

/** Holds the job of a host's message about an instance, for this reason. @returns its id */
async function heldFor(code: HoldCode, instance: string): Promise<string> {
  work(async () => {
    throw new AppError(code, 'it is not so', { reasons: [{ code, message: 'it is not so' }] });
  });
  const { jobId, tokens } = await it.accept(says('delete', 'web-1', instance), {
    place: 'hosts',
    publishedAt: at(1),
  });
  dispatcher.dispatch(tokens);
  await until('the job to be held', async () => (await it.store.get(jobId))?.state === 'held');
  return jobId;
}

test('a job that turned out to be about another instance gives that instance up, so that its real end is a new job', async () => {
  const instance = 'i-0a1b2c3d4e5f60718';
  const id = await heldFor('other-instance', instance);
  const later = await it.accept(ended(instance), { publishedAt: at(2) });
  expect(later.outcome).toBe('accepted');
  expect(later.jobId).not.toBe(id);
});

test('a job that is held for any other reason keeps its instance, and looks again when its end is announced', async () => {
  const instance = 'i-0a1b2c3d4e5f60718';
  const id = await heldFor('alive', instance);
  expect(await it.accept(ended(instance), { publishedAt: at(2) })).toMatchObject({
    jobId: id,
    outcome: 'accepted',
  });
});

test('what was approved counts until the job is done, and not when it is opened again', async () => {
  const { id } = await accept();
  const approval = { reasons: [{ code: 'protected' as const, message: '' }] };
  await it.store.move({ id }, ['queued'], 'queued', { approvedBy: 'ops', approval });
  work();
  await done(id);
  expect((await it.store.get(id))?.approval).toBeUndefined();
});
