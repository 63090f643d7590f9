interface Part {
  stop: () => Promise<void>;
}

/** Has a part stopped in the end. */
export type Keep = <P extends Part>(part: P) => P;

/** Runs with parts that are kept as they start, and in the end stops them, the last first, whatever happened. */
export async function keeping<T>(run: (keep: Keep) => Promise<T>): Promise<T> {
  const kept: Part[] = [];
  try {
    return await run(part => {
      kept.push(part);
      return part;
    });
  } finally {
    for (const part of kept.reverse()) await part.stop();
  }
}
