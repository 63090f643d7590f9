/** Does some work now, and again at each interval, once at a time. `close` does not begin it again, and waits for its end. */
export function regularly(work: () => Promise<void>, intervalMs: number): { close: () => Promise<void> } {
  let current = work();
  const timer = setInterval(() => {
    current = current.then(work);
  }, intervalMs);
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
      await current;
    },
  };
}
