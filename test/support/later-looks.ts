import { Redis } from 'ioredis';
import { until } from './process.ts';

/**
 * Runs now the checks for returned nodes, which are due five and thirty minutes after a deletion, and waits until they
 * are done. A worker of this installation must run.
 */
export async function runLaterLooks(redisUrl: string, prefix: string): Promise<void> {
  const redis = new Redis(redisUrl);
  const key = `${prefix}:zombies`;
  try {
    for (const look of await redis.zrange(key, '0', '-1')) await redis.zadd(key, '0', look);
    await until('all checks for returned nodes to be done', async () => (await redis.zcard(key)) === 0);
  } finally {
    redis.disconnect();
  }
}
