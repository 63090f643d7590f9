import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { coalesce } from '../../../src/lib/coalesce.ts';

test('whoever asks gets work that begins after he asked, and never two are done at once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.nat({ max: 20 }), async (s, count) => {
      let begun = 0;
      let working = false;
      const ask = coalesce(async () => {
        expect(working).toBe(false);
        working = true;
        begun++;
        await s.schedule(Promise.resolve());
        working = false;
      });
      const asked = Array.from({ length: count }, async () => {
        await s.schedule(Promise.resolve());
        const before = begun;
        await ask();
        expect(begun).toBeGreaterThan(before);
      });
      await s.waitFor(Promise.all(asked));
    }),
  );
});

test('many who ask meanwhile share one', async () => {
  let times = 0;
  const ask = coalesce(async () => {
    times++;
    await new Promise(setImmediate);
  });
  await Promise.all(Array.from({ length: 100 }, () => ask()));
  expect(times).toBe(2);
});

test('a failure is thrown to all who shared it, and to nobody after it', async () => {
  let times = 0;
  const ask = coalesce(async () => {
    if (++times === 2) throw new Error('disk');
  });
  const replies = await Promise.allSettled([ask(), ask(), ask()]);
  expect(replies.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  await expect(ask()).resolves.toBeUndefined();
});
