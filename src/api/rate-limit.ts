/** Maximum number of keys; the least recently used one is dropped for a new one. */
const MAX_KEYS = 10_000;

/** So many per key in a window that begins with the key's first. In memory, so each process counts for itself. */
export class RateLimit {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #windows = new Map<string, { count: number; until: number }>();

  constructor({ limit, windowMs }: { limit: number; windowMs: number }) {
    this.#limit = limit;
    this.#windowMs = windowMs;
  }

  /** Counts one. @returns in how many milliseconds one is allowed again; 0 where this one is */
  take(key: string, now = Date.now()): number {
    const known = this.#windows.get(key);
    const window = known && known.until > now ? known : { count: 0, until: now + this.#windowMs };
    window.count += 1;
    this.#windows.delete(key);
    this.#windows.set(key, window);
    const [oldest] = this.#windows.keys();
    if (this.#windows.size > MAX_KEYS && oldest !== undefined) this.#windows.delete(oldest);
    return window.count > this.#limit ? window.until - now : 0;
  }
}
