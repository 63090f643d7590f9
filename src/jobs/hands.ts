/** How many may work at once; who comes when none is free waits for his turn. */
export class Hands {
  #free: number;
  #closed = false;
  readonly #waiting: PromiseWithResolvers<void>[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * @returns gives the hand back; done again, it does nothing
   * @throws Error where none came free before they were closed
   */
  async take(): Promise<() => void> {
    if (this.#closed) throw new Error('no more work is begun here');
    if (this.#free > 0) {
      this.#free--;
    } else {
      const turn = Promise.withResolvers<void>();
      this.#waiting.push(turn);
      await turn.promise;
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = this.#waiting.shift();
      if (next) next.resolve();
      else this.#free++;
    };
  }

  /** Sends away who waits. */
  close(): void {
    this.#closed = true;
    for (const turn of this.#waiting.splice(0)) turn.reject(new Error('no more work is begun here'));
  }
}
