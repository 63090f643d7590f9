import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { deletionBudget } from '../../../src/jobs/budget.ts';
import { openStore, type TestStore } from '../../support/jobs/store-fixture.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

let server: RedisServer;
let it: TestStore;

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(() => {
  it = openStore(server.url);
});
afterEach(() => it.close());
afterAll(() => server?.stop());

const budgetOf = (maxDeletes: number) => deletionBudget(it.run, { maxDeletes, windowMinutes: 10 });

/** Moves all that was spent back, as if so much time had passed on Redis's clock. */
async function letTimePass(minutes: number): Promise<void> {
  const key = `${it.prefix}:budget`;
  for (const job of await it.redis.zrange(key, '0', '-1'))
    await it.redis.zincrby(key, -minutes * 60_000, job);
}

describe('the deletion budget', () => {
  test('refuses a job beyond the limit, and says which setting limits it', async () => {
    const { spend } = budgetOf(2);
    await spend('a');
    await spend('b');
    await expect(spend('c')).rejects.toMatchObject({
      code: 'over-budget',
      message: expect.stringContaining('more than 2 deletions within 10 minutes (MAX_DELETES)'),
    });
  });

  test('counts a job once, however often it asks', async () => {
    const { spend } = budgetOf(2);
    for (const job of ['a', 'a', 'a', 'b', 'a']) await spend(job);
    await expect(spend('c')).rejects.toMatchObject({ code: 'over-budget' });
  });

  test('forgets a deletion once the window has passed, and not before', async () => {
    const { spend } = budgetOf(1);
    await spend('a');
    await letTimePass(9);
    await expect(spend('b')).rejects.toMatchObject({ code: 'over-budget' });
    await letTimePass(1);
    await spend('b');
  });

  test('gives the part of a job back, so that another job can have it', async () => {
    const { spend, refund } = budgetOf(1);
    await spend('a');
    await refund('a');
    await spend('b');
    await expect(spend('a'), 'the job itself has none any more').rejects.toMatchObject({
      code: 'over-budget',
    });
  });

  test('is not enlarged by a job that gives back what it never had, or twice', async () => {
    const { spend, refund } = budgetOf(2);
    for (const job of ['a', 'b']) await spend(job);
    await refund('never spent');
    for (let n = 0; n < 2; n++) await refund('a');
    await spend('c');
    await expect(spend('d')).rejects.toMatchObject({ code: 'over-budget' });
  });
});
