/** Numbers that look random, the same for the same seed (mulberry32). */
export interface Random {
  /** From 0 to below 1. */
  next: () => number;
  /** From `low` to `high`. */
  between: (low: number, high: number) => number;
  /** Each as likely as its weight. @default 1 */
  pick: <T>(choices: readonly T[], weight?: (choice: T) => number) => T;
}

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (low, high) => low + next() * (high - low),
    pick(choices, weight = () => 1) {
      let left = next() * choices.reduce((sum, choice) => sum + weight(choice), 0);
      for (const choice of choices) {
        left -= weight(choice);
        if (left < 0) return choice;
      }
      throw new Error('nothing to choose from');
    },
  };
}
