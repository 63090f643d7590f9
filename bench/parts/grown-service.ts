import { deepStrictEqual } from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { Pool } from 'undici';
import { ShutdownStack } from '../../src/app/shutdown.ts';
import type { Job } from '../../src/domain/job.ts';
import { until } from '../../test/support/process.ts';
import { type RedisServer, startRedis } from '../../test/support/redis.ts';
import type { SnsPublisher } from '../../test/support/sns-publisher.ts';
import { saturate } from '../load.ts';
import { type Asker, openAsker } from './asker.ts';
import { copyOf, copyTerminations } from './known-terminations.ts';
import { signedNotices } from './notices.ts';
import { residentBytes } from './process-usage.ts';
import { startMeasuredService } from './service.ts';
import type { StandIn } from './stand-in.ts';
import { newTerminations, type Termination } from './terminations.ts';

/** What services of every size share. */
export interface GrowthParts {
  chef: StandIn;
  /** PEM */
  chefKey: string;
  publisher: SnsPublisher;
}

/** A service with a Redis of its own that knows of so many terminations, and nothing else. */
export interface GrownService {
  /** Terminations that it knew when it was started. */
  terminations: number;
  asker: Asker;
  /** One that it knows of. */
  known: Pick<Job, 'node' | 'instanceId'>;
  /** Of Redis, for each known termination. */
  bytesPerTermination: number;
  /** Seconds from the first of so many new terminations, announced by SNS, to the end of the last one's job. */
  clear: (count: number) => Promise<number>;
  residentBytes: () => number;
  stop: () => Promise<void>;
}

const PREFIX = '{bench}';
const AT_ONCE = 64;
const STOP_MS = 15_000;

export async function startGrownService(parts: GrowthParts, terminations: number): Promise<GrownService> {
  const closing = new ShutdownStack(message => process.emitWarning(message));
  try {
    return await grow(parts, terminations, closing);
  } catch (error) {
    await closing.close();
    throw error;
  }
}

async function grow(parts: GrowthParts, terminations: number, closing: ShutdownStack): Promise<GrownService> {
  // A rewrite of its file would hit one size only.
  const server = await startRedis({ args: ['--auto-aof-rewrite-percentage', '0'] });
  closing.add('Redis', server, stopAndForget, STOP_MS);
  const redis = closing.add('connection', new Redis(server.url), opened => opened.disconnect());
  const service = await startMeasuredService({
    ROLES: 'api,worker,trigger',
    REDIS_URL: server.url,
    REDIS_PREFIX: PREFIX,
    CHEF_SERVER_URL: parts.chef.url,
    CHEF_CLIENT_NAME: 'bench',
    CHEF_CLIENT_KEY: parts.chefKey,
    SNS_TOPIC_ARNS: parts.publisher.topicArn,
    SNS_CERT_HOSTS: parts.publisher.certHost,
    NODE_EXTRA_CA_CERTS: parts.publisher.caFile,
    MAX_DELETES: '1000000',
  });
  closing.add('service', service, opened => opened.stop(), STOP_MS);
  const asker = closing.add('asker', openAsker(service.url), opened => opened.close());
  const pool = closing.add('pool', new Pool(service.url, { connections: AT_ONCE }), opened => opened.close());

  const post = async (body: Buffer | undefined, outcome: string) => {
    const answer = await pool.request({ method: 'POST', path: '/sns', body: body ?? null });
    const said = await answer.body.text();
    if (!said.startsWith(`{"outcome":"${outcome}"`)) throw new Error(`POST /sns answered ${said}`);
  };
  const doneJobs = () => redis.zcard(`${PREFIX}:list:delete:done`);

  async function clear(batch: Termination[]): Promise<number> {
    await parts.chef.register(batch);
    const notices = signedNotices(parts.publisher, batch);
    const before = await doneJobs();
    const begun = performance.now();
    const load = { atOnce: AT_ONCE, seconds: 60, most: batch.length };
    await saturate(n => post(notices[n], 'accepted'), load);
    await until('all to be done', async () => (await doneJobs()) === before + batch.length, 60_000);
    return (performance.now() - begun) / 1000;
  }

  const usedBytes = async () => Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);

  await clear(newTerminations(1));
  const [first] = JSON.parse(await asker.get('/jobs')).jobs as Job[];
  if (!first) throw new Error('the first termination is not a job');
  const bytes = await usedBytes();
  await copyTerminations(redis, PREFIX, first, terminations - 1);
  const bytesPerTermination = ((await usedBytes()) - bytes) / (terminations - 1);

  // One in their midst is to the service what the first one is.
  const copy = copyOf(first, Math.floor(terminations / 2));
  const { jobs } = JSON.parse(await asker.get(`/jobs?node=${copy.node}`));
  deepStrictEqual(jobs, [rename(first, copy)]);
  const [notice] = signedNotices(parts.publisher, [copy]);
  await post(notice, 'duplicate');

  return {
    terminations,
    asker,
    known: copy,
    bytesPerTermination,
    clear: count => clear(newTerminations(count)),
    residentBytes: () => residentBytes(service.child.pid ?? 0),
    stop: () => closing.close(),
  };
}

/** Its file has gigabytes, of which the next run has no use. */
async function stopAndForget(server: RedisServer): Promise<void> {
  await server.stop();
  await rm(server.dir, { recursive: true });
}

/** The job as it would be under these names. */
function rename(job: Job, { id, node, instanceId }: ReturnType<typeof copyOf>): Job {
  const text = JSON.stringify(job)
    .replaceAll(job.id, id)
    .replaceAll(job.node ?? '', node)
    .replaceAll(job.instanceId ?? '', instanceId);
  return JSON.parse(text);
}
