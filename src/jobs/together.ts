interface Waiting<Item, Reply> {
  item: Item;
  resolve: (reply: Reply) => void;
  reject: (error: unknown) => void;
}

/**
 * Makes one call of many: what comes while a call is under way goes in the next, `atOnce` at the most. A reply that is an
 * Error is that item's alone. Where the call itself fails, what waits behind it fails as well: it must not wait as long
 * again for a server that does not answer.
 */
export function together<Item, Reply>(
  call: (items: Item[]) => Promise<(Reply | Error)[]>,
  atOnce: number,
): (item: Item) => Promise<Reply> {
  let waiting: Waiting<Item, Reply>[] = [];
  let underWay = false;

  async function goOn(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, atOnce);
      try {
        const replies = await call(batch.map(({ item }) => item));
        for (const [at, { resolve, reject }] of batch.entries()) {
          const reply = replies[at];
          if (reply === undefined || reply instanceof Error) reject(reply ?? new Error('no reply'));
          else resolve(reply);
        }
      } catch (error) {
        const failed = [...batch, ...waiting];
        waiting = [];
        for (const { reject } of failed) reject(error);
      }
    }
    underWay = false;
  }

  return item => {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    waiting.push({ item, resolve, reject });
    if (!underWay) {
      underWay = true;
      // Those that come in the same turn of the event loop go together from the first.
      setImmediate(() => void goOn());
    }
    return promise;
  };
}
