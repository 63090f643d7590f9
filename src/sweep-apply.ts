import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import type { Settings } from './config.ts';
import type { Ghost } from './ghosts.ts';
import { connectRedis } from './jobs/redis.ts';
import { loadScripts } from './jobs/scripts.ts';
import { JobStore } from './jobs/store.ts';

/** What became of a ghost that was handed to the service. */
export interface Applied {
  node: string;
  job: string;
  outcome: string;
}

/** Told after each, so that a person sees how far it is. */
export type OnApplied = (done: number, total: number) => void;

/**
 * Makes a job of each ghost, as `POST /events` does; the service that runs on the same Redis takes it up, with all its
 * guards. A death that a job had dealt with already is taken up by that job again.
 * @throws AppError where Redis would not keep them
 */
export async function applySweep(
  ghosts: readonly Ghost[],
  settings: Settings,
  onApplied: OnApplied,
): Promise<Applied[]> {
  const { REDIS_URL, REDIS_PREFIX } = settings;
  const redis = connectRedis(REDIS_URL, REDIS_PREFIX, pino({ level: 'silent' }));
  try {
    const run = loadScripts(redis.commands, REDIS_PREFIX);
    const store = new JobStore(redis.commands, run, REDIS_PREFIX, redis.check);
    const applied: Applied[] = [];
    for (const ghost of ghosts) {
      applied.push(await applyOne(ghost, store));
      onApplied(applied.length, ghosts.length);
    }
    return applied;
  } finally {
    await redis.close();
  }
}

async function applyOne({ node, instanceId, reason }: Ghost, store: JobStore): Promise<Applied> {
  const event = {
    kind: 'request' as const,
    method: 'delete' as const,
    node,
    instanceId,
    reason: `sweep: ${reason}`,
  };
  const now = new Date();
  const news = {
    event,
    source: 'api' as const,
    messageId: `sweep:${randomUUID()}`,
    place: 'api' as const,
    publishedAt: now,
    saidAt: now,
    requestedBy: 'sweep',
  };
  const { jobId, outcome } = await store.accept(news, 'delete');
  if (outcome === 'accepted') return { node, job: jobId, outcome: 'accepted' };
  const job = await store.get(jobId);
  if (job?.state !== 'done') return { node, job: jobId, outcome: `known already, ${job?.state}` };
  const revived = await store.revive(job);
  return { node, job: jobId, outcome: revived.moved ? 'taken up again' : `left, ${revived.state}` };
}
