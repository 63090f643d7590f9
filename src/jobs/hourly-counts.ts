import type { Redis } from 'ioredis';
import type { JobKind, JobState } from '../domain/job.ts';
import { repliesOf } from '../lib/replies.ts';

/** Of the jobs accepted within an hour, how many are in each state now. */
export interface Hour {
  /** When it began, ISO 8601 in UTC. */
  from: string;
  jobs: { kind: JobKind; state: JobState; count: number }[];
}

const HOUR_MS = 3_600_000;

/** The last hours, the oldest first, the current one last; their counts are kept, not counted now. */
export async function lastHours(redis: Redis, prefix: string, hours: number): Promise<Hour[]> {
  const now = Math.floor(Date.now() / HOUR_MS);
  const times = Array.from({ length: hours }, (_, at) =>
    new Date((now - hours + 1 + at) * HOUR_MS).toISOString(),
  );
  const asking = redis.pipeline();
  for (const from of times) asking.hgetall(`${prefix}:hour:${from.slice(0, 'YYYY-MM-DDTHH'.length)}`);
  const replies = await repliesOf(asking);
  return times.map((from, at) => ({
    from,
    jobs: Object.entries(replies[at] as Record<string, string>).flatMap(count),
  }));
}

function count([name, value]: [string, string]): Hour['jobs'] {
  const [kind, state] = name.split(':') as [JobKind, JobState];
  return Number(value) > 0 ? [{ kind, state, count: Number(value) }] : [];
}
