import type { Redis } from 'ioredis';

/** Alerts of one key within this time of the first are one. */
const WINDOW_MS = 600_000;
/** How long a count of folded alerts waits for the next one that is sent. */
const COUNT_MS = 7 * 86_400_000;
/** Keys remembered while Redis is away. */
const LARGEST = 10_000;

/**
 * Lets one alert of a key through in each window, among all processes of one Redis; where Redis does not answer, among
 * those of this process.
 * @returns how many were folded since the last one that went through; undefined where this one is folded
 */
export function alertFold(redis: Redis, prefix: string): (key: string) => Promise<number | undefined> {
  const inMemory = memoryFold();
  return async key => {
    const name = `${prefix}:alert:${key}`;
    try {
      if ((await redis.set(name, '1', 'PX', WINDOW_MS, 'NX')) === 'OK') {
        const count = `${name}:folded`;
        // GETDEL came with Redis 6.2.
        const [folded] = (await redis.multi().get(count).del(count).exec()) ?? [];
        return Number(folded?.[1] ?? 0) + inMemory.taken(key);
      }
      await redis.multi().incr(`${name}:folded`).pexpire(`${name}:folded`, COUNT_MS).exec();
      return undefined;
    } catch {
      return inMemory.fold(key);
    }
  };
}

function memoryFold() {
  const sent = new Map<string, { at: number; folded: number }>();
  const taken = (key: string) => {
    const folded = sent.get(key)?.folded ?? 0;
    sent.delete(key);
    return folded;
  };
  return {
    taken,
    fold(key: string): number | undefined {
      const earlier = sent.get(key);
      if (earlier && Date.now() - earlier.at < WINDOW_MS) {
        earlier.folded += 1;
        return undefined;
      }
      const folded = taken(key);
      sent.set(key, { at: Date.now(), folded: 0 });
      const [oldest] = sent.keys();
      if (sent.size > LARGEST && oldest !== undefined) sent.delete(oldest);
      return folded;
    },
  };
}
