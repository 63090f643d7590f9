import type { Redis } from 'ioredis';
import { AppError } from '../../domain/errors.ts';
import { repliesOf } from '../../lib/replies.ts';

const REPLICATION_TIMEOUT_MS = 1_000;

/**
 * Right after a write: resolves once a replica has it too, if there is one. Replication is asynchronous, and WAIT makes it
 * no consensus: with a single failure Sentinel and Cluster promote the replica that has most, which has this; of two
 * servers that fail at once nothing can be said. Writes that are not waited for (a step that is done, say) may be lost in
 * a failover, and are done again.
 * Source: https://redis.io/docs/latest/commands/wait/
 * @param key what was written
 * @throws AppError `unavailable` if the write did not survive a failover, or no replica took it in time
 */
export async function replicated(redis: Redis, key: string): Promise<void> {
  const [, role] = await repliesOf(redis.pipeline().exists(key).role());
  const attached = Array.isArray(role) && Array.isArray(role[2]) ? role[2].length : 0;
  // Alone after a failover it goes on alone, unless its own min-replicas-to-write forbids that.
  if (attached === 0) return;
  const [exists, acknowledged] = await repliesOf(
    redis.pipeline().exists(key).wait(1, REPLICATION_TIMEOUT_MS),
  );
  if (exists !== 1 || acknowledged === 0)
    throw new AppError('unavailable', 'no replica of Redis has it yet; send it again');
}
