import { setTimeout as delay } from 'node:timers/promises';

export interface Pace {
  /** How long a question waits for others to share its call, in milliseconds. @default 50 */
  gatherMs?: number;
  /** Shortest time between two calls, in milliseconds. @default 200 */
  pauseMs?: number;
}

/**
 * Returns a function that asks about one id. Questions asked at about the same time share a call of at most `size` ids, and calls
 * are made one after the other, because AWS throttles each account and region.
 * @param call answers about several ids; if it fails, so does each question of the call
 */
export function pacedBatches<Answer>(
  call: (ids: readonly string[]) => Promise<(id: string) => Answer>,
  size: number,
  { gatherMs = 50, pauseMs = 200 }: Pace,
): (id: string) => Promise<Answer> {
  const waiting = new Map<string, PromiseWithResolvers<Answer>>();
  let calling = false;

  async function callUntilNoneWaits(): Promise<void> {
    calling = true;
    await delay(gatherMs);
    while (waiting.size > 0) {
      const batch = [...waiting].slice(0, size);
      for (const [id] of batch) waiting.delete(id);
      try {
        const answerTo = await call(batch.map(([id]) => id));
        for (const [id, { resolve }] of batch) resolve(answerTo(id));
      } catch (error) {
        for (const [, { reject }] of batch) reject(error);
      }
      await delay(pauseMs);
    }
    calling = false;
  }

  return id => {
    const answer = waiting.get(id) ?? Promise.withResolvers<Answer>();
    waiting.set(id, answer);
    if (!calling) void callUntilNoneWaits();
    return answer.promise;
  };
}
