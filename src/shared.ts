interface Turn {
  now: Promise<void>;
  next?: Promise<void>;
}

/**
 * Does some work for a key once at a time: those who ask while it is under way share the one that begins after it, since
 * what they ask for may have come too late for this one.
 */
export function shared(work: (key: string) => Promise<void>): (key: string) => Promise<void> {
  const turns = new Map<string, Turn>();
  return function ask(key): Promise<void> {
    const turn = turns.get(key);
    if (turn) {
      turn.next ??= turn.now.catch(() => {}).then(() => ask(key));
      return turn.next;
    }
    const now = work(key).finally(() => turns.delete(key));
    turns.set(key, { now });
    return now;
  };
}
