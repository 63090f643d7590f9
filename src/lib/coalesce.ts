/**
 * Does some work once at a time: those who ask while it is under way share the one that begins after it, since what they
 * ask for may have come too late for this one.
 */
export function coalesce(work: () => Promise<void>): () => Promise<void> {
  let now: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  return function ask(): Promise<void> {
    if (now) {
      next ??= now
        .catch(() => {})
        .then(() => {
          next = undefined;
          return ask();
        });
      return next;
    }
    now = work().finally(() => {
      now = undefined;
    });
    return now;
  };
}
