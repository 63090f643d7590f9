import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchCalls } from '../../../src/lib/batch-calls.ts';

test('each item gets its own reply, and no call has more than it may have', async () => {
  const items = fc.array(fc.record({ n: fc.integer(), fails: fc.boolean() }), { maxLength: 50 });
  await fc.assert(
    fc.asyncProperty(items, fc.integer({ min: 1, max: 9 }), async (all, atOnce) => {
      const sizes: number[] = [];
      const ask = batchCalls(async (batch: typeof all) => {
        sizes.push(batch.length);
        return batch.map(({ n, fails }) => (fails ? new Error(`not ${n}`) : `yes ${n}`));
      }, atOnce);
      const replies = await Promise.allSettled(all.map(ask));
      expect(
        replies.map(reply => (reply.status === 'fulfilled' ? reply.value : reply.reason.message)),
      ).toEqual(all.map(({ n, fails }) => `${fails ? 'not' : 'yes'} ${n}`));
      expect(sizes).toHaveLength(Math.ceil(all.length / atOnce));
      expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(atOnce);
    }),
  );
});

test('a call that fails, fails for its own items only', async () => {
  const ask = batchCalls(async (batch: number[]) => {
    if (batch.includes(1)) throw new Error('away');
    return batch;
  }, 2);
  const replies = await Promise.allSettled([0, 1, 2, 3].map(ask));
  expect(replies.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'fulfilled']);
});

test('an item without a reply fails', async () => {
  const ask = batchCalls(async () => [], 8);
  await expect(ask(1)).rejects.toThrow('no reply');
});

test('a call that hangs keeps no other waiting', async () => {
  const ask = batchCalls(
    ([first]: number[]) => (first === 0 ? new Promise<number[]>(() => {}) : Promise.resolve([1])),
    1,
  );
  ask(0);
  await expect(ask(1)).resolves.toBe(1);
});
