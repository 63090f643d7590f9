/** A pipeline of ioredis, as far as its replies are concerned. */
interface Pipeline {
  exec: () => Promise<[error: Error | null, reply: unknown][] | null>;
}

/** Sends a pipeline. @returns its replies @throws the first error among them */
export async function repliesOf(pipeline: Pipeline): Promise<unknown[]> {
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}
