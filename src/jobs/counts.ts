import type { Redis } from 'ioredis';
import { JOB_KINDS, JOB_STATES, type JobKind, type JobState, OPEN_STATES } from '../domain/job.ts';
import { repliesOf } from '../lib/replies.ts';

/** How the work stands for all processes of one Redis. */
export interface JobCounts {
  jobs: { kind: JobKind; state: JobState; count: number }[];
  /** Since the oldest open job was accepted, or opened again; 0 where none is open. */
  oldestOpenSeconds: number;
  /** Kept, and not handed to BullMQ yet. */
  outbox: number;
  trigger: {
    /** Changes in Chef that no chef-client run has covered. */
    uncovered: number;
    /** Since the first of them; 0 where there is none. */
    oldestUncoveredSeconds: number;
    running: boolean;
    /** Runs that failed since the last that did not. */
    failures: number;
  };
}

/** Counts in two round trips; what they cost does not grow with the number of jobs. */
export async function countJobs(redis: Redis, prefix: string): Promise<JobCounts> {
  const lists = JOB_KINDS.flatMap(kind => JOB_STATES.map(state => ({ kind, state })));
  const asking = redis.pipeline();
  for (const { kind, state } of lists) {
    const key = `${prefix}:list:${kind}:${state}`;
    asking.zcard(key).zrange(key, '0', '0');
  }
  asking.zcard(`${prefix}:outbox`).zcard(`${prefix}:trigger:uncovered`).exists(`${prefix}:trigger:lease`);
  asking.hmget(`${prefix}:trigger`, 'since', 'failures');
  const replies = await repliesOf(asking);
  const [outbox, uncovered, running, trigger] = replies.slice(2 * lists.length);
  const [since, failures] = trigger as (string | null)[];
  const open = lists.flatMap(({ state }, at) =>
    OPEN_STATES.some(each => each === state) ? (replies[2 * at + 1] as string[]) : [],
  );
  return {
    jobs: lists.map((list, at) => ({ ...list, count: Number(replies[2 * at]) })),
    oldestOpenSeconds: await oldest(redis, prefix, open),
    outbox: Number(outbox),
    trigger: {
      uncovered: Number(uncovered),
      oldestUncoveredSeconds: Number(uncovered) > 0 ? secondsSince(Number(since)) : 0,
      running: Number(running) === 1,
      failures: Number(failures ?? 0),
    },
  };
}

async function oldest(redis: Redis, prefix: string, ids: string[]): Promise<number> {
  if (ids.length === 0) return 0;
  const asking = redis.pipeline();
  for (const id of ids) asking.hmget(`${prefix}:job:${id}`, 'receivedAt', 'openedAt');
  const ages = (await repliesOf(asking)).map(reply => {
    const [receivedAt, openedAt] = reply as (string | null)[];
    return secondsSince(openedAt ? Number(openedAt) : Date.parse(receivedAt ?? ''));
  });
  return Math.max(...ages);
}

/** 0 for a time that is not known. */
function secondsSince(ms: number): number {
  return ms > 0 ? Math.max(0, (Date.now() - ms) / 1000) : 0;
}
