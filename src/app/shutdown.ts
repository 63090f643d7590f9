import { describe } from '../domain/errors.ts';
import { withTimeLimit } from '../lib/time-limit.ts';

interface Opened {
  name: string;
  close: () => unknown;
  limitMs: number;
}

/** What is open, to be closed in the reverse order; one that fails or hangs does not keep the others open. */
export class ShutdownStack {
  readonly #opened: Opened[] = [];
  readonly #onFault: (message: string) => void;

  constructor(onFault: (message: string) => void) {
    this.#onFault = onFault;
  }

  /** @param limitMs how long closing may take before it is left behind */
  add<T>(name: string, thing: T, close: (thing: T) => unknown, limitMs = 5_000): T {
    this.#opened.push({ name, close: () => close(thing), limitMs });
    return thing;
  }

  async close(): Promise<void> {
    for (let last = this.#opened.pop(); last; last = this.#opened.pop()) {
      const { name, close, limitMs } = last;
      try {
        const late = () => this.#onFault(`${name} did not close within ${limitMs} ms`);
        await withTimeLimit(Promise.resolve(close()), limitMs, late);
      } catch (error) {
        this.#onFault(`${name} did not close: ${describe(error)}`);
      }
    }
  }
}
