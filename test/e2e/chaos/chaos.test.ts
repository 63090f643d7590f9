import { expect, test } from 'vitest';
import { runChaos } from '../../support/chaos/chaos.ts';

test('nothing is lost and nothing done twice while processes and Redis are killed and Chef and Nagios come and go', {
  timeout: 180_000,
}, async () => {
  const seed = Math.floor(Math.random() * 1_000_000);
  const { losses, faults } = await runChaos({
    seed,
    terminations: 30,
    seconds: 8,
    rounds: 1,
    pauseMs: 300,
    longestMs: 900,
    patienceMs: 90_000,
  });
  expect(losses, `seed ${seed}`).toEqual([]);
  const kills = [...faults].map(([name, times]) => (name.startsWith('kill') ? times : 0));
  expect(kills.reduce((sum, times) => sum + times)).toBeGreaterThan(2);
});
