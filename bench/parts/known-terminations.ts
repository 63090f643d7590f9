import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import type { Job } from '../../src/domain/job.ts';

/** What names one termination in Redis. */
interface Names {
  id: string;
  node: string;
  instanceId: string;
}

const COPY = readFileSync(new URL('copy-terminations.lua', import.meta.url), 'utf8');
const AT_ONCE = 1_000;

/**
 * Keys that a termination leaves; what else is there, it leaves for a while only: looks for a node that came back, BullMQ's
 * events, the trigger's clock.
 */
const LEFT = /^(job:|known:delete:|list:delete:done$|node:|instance:|hour:|seq$)/;
const PASSING = /^(zombies$|budget$|trigger|outbox$|active$|jobs:|alerts|probe$)/;

/** The n-th copy of a job. */
export function copyOf({ id }: Pick<Job, 'id'>, n: number): Names {
  const hex = n.toString(16);
  return {
    id: `${id.slice(0, -12)}${hex.padStart(12, '0')}`,
    node: `copy-${String(n).padStart(7, '0')}.example.com`,
    instanceId: `i-0c${hex.padStart(15, '0')}`,
  };
}

/**
 * Makes so many copies of a job that is done, as if each were a termination of its own.
 * @throws Error where a termination leaves more in Redis than a copy would
 */
export async function copyTerminations(redis: Redis, prefix: string, job: Job, count: number): Promise<void> {
  const names = (await redis.keys(`${prefix}:*`)).map(key => key.slice(prefix.length + 1));
  const unknown = names.find(name => !LEFT.test(name) && !PASSING.test(name));
  if (unknown)
    throw new Error(`a termination leaves ${unknown} in Redis; copy it too, or say that it passes`);
  const script = String(await redis.script('LOAD', COPY));
  const of = [job.id, job.node ?? '', job.instanceId ?? ''];
  for (let from = 0; from < count; from += AT_ONCE) {
    const copies = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, at) => copyOf(job, from + at));
    await redis.evalsha(
      ...[script, 1, prefix],
      ...of,
      ...copies.flatMap(({ id, node, instanceId }) => [id, node, instanceId]),
    );
  }
}
