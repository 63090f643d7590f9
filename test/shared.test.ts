import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { shared } from '../src/shared.ts';

test('whoever asks gets work that begins after he asked, and never two at once are done for one key', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.constantFrom('a', 'b'), { maxLength: 20 }),
      async (s, keys) => {
        let clock = 0;
        const working = new Set<string>();
        const begun: Record<string, number[]> = { a: [], b: [] };
        const ask = shared(async key => {
          expect(working.has(key)).toBe(false);
          working.add(key);
          begun[key]?.push(++clock);
          await s.schedule(Promise.resolve());
          working.delete(key);
        });
        const asked = keys.map(async key => {
          await s.schedule(Promise.resolve());
          const at = clock;
          await ask(key);
          expect(begun[key]?.some(time => time > at)).toBe(true);
        });
        await s.waitFor(Promise.all(asked));
      },
    ),
  );
});

test('many who ask meanwhile share one', async () => {
  let times = 0;
  const ask = shared(async () => {
    times++;
    await new Promise(setImmediate);
  });
  await Promise.all(Array.from({ length: 100 }, () => ask('a')));
  expect(times).toBe(2);
});

test('a failure is told to all who shared it, and to nobody after it', async () => {
  let times = 0;
  const ask = shared(async () => {
    if (++times === 2) throw new Error('disk');
  });
  const replies = await Promise.allSettled([ask('a'), ask('a'), ask('a')]);
  expect(replies.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  await expect(ask('a')).resolves.toBeUndefined();
});
