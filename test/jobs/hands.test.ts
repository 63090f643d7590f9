import { expect, test } from 'vitest';
import { Hands } from '../../src/jobs/hands.ts';

/** What came free so far, in order. */
function takers(hands: Hands, count: number): { taken: number[]; give: (() => void)[]; refused: number[] } {
  const seen = { taken: [] as number[], give: [] as (() => void)[], refused: [] as number[] };
  for (let taker = 0; taker < count; taker++) {
    hands.take().then(
      give => {
        seen.taken.push(taker);
        seen.give.push(give);
      },
      () => seen.refused.push(taker),
    );
  }
  return seen;
}

const settled = () => new Promise(resolve => setImmediate(resolve));

test('no more work at once than there are hands, and those who wait go in the order in which they came', async () => {
  const { taken, give } = takers(new Hands(2), 4);
  await settled();
  expect(taken).toEqual([0, 1]);
  give[1]?.();
  await settled();
  expect(taken).toEqual([0, 1, 2]);
  give[0]?.();
  await settled();
  expect(taken).toEqual([0, 1, 2, 3]);
});

test('a hand that is given back twice is one hand', async () => {
  const { taken, give } = takers(new Hands(1), 3);
  await settled();
  give[0]?.();
  give[0]?.();
  await settled();
  expect(taken).toEqual([0, 1]);
});

test('who waits when they are closed is sent away, and so is who comes later', async () => {
  const hands = new Hands(1);
  const before = takers(hands, 2);
  await settled();
  hands.close();
  const after = takers(hands, 1);
  await settled();
  expect([before.taken, before.refused, after.refused]).toEqual([[0], [1], [0]]);
});
