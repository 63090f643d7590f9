interface Waiting<Item, Reply> {
  item: Item;
  resolve: (reply: Reply) => void;
  reject: (error: unknown) => void;
}

/**
 * Makes one call of several: of those that come in the same turn of the event loop, at most `atOnce`. A reply that
 * is an Error is that item's alone; where the call itself fails, all its items do.
 */
export function batchCalls<Item, Reply>(
  call: (items: Item[]) => Promise<(Reply | Error)[]>,
  atOnce: number,
): (item: Item) => Promise<Reply> {
  let waiting: Waiting<Item, Reply>[] = [];

  async function callNow(): Promise<void> {
    const batch = waiting;
    waiting = [];
    if (batch.length === 0) return;
    try {
      const replies = await call(batch.map(({ item }) => item));
      for (const [at, { resolve, reject }] of batch.entries()) {
        const reply = replies[at];
        if (reply === undefined || reply instanceof Error) reject(reply ?? new Error('no reply'));
        else resolve(reply);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  return item => {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    waiting.push({ item, resolve, reject });
    if (waiting.length === 1) setImmediate(() => void callNow());
    if (waiting.length === atOnce) void callNow();
    return promise;
  };
}
