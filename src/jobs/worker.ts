import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Job as BullJob, DelayedError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { AppError, describe } from '../errors.ts';
import type { JobState } from '../job.ts';
import { type Dispatcher, QUEUE } from './dispatch.ts';
import type { Outages } from './outage.ts';
import type { JobError, JobRecord } from './record.ts';
import { type Fate, fateOf } from './retry.ts';
import { Later, LostLock, runSteps, type Steps, Waits } from './run.ts';
import type { JobStore } from './store.ts';

export interface WorkerOptions {
  prefix: string;
  /** Jobs that this process works on at once. */
  concurrency: number;
  /** How long a job of a worker that died stays locked, in milliseconds. */
  lockMs: number;
}

export interface WorkerDependencies {
  redis: Redis;
  store: JobStore;
  dispatcher: Dispatcher;
  steps: Steps;
  log: Logger;
  outages: Outages;
  /** Called at each further attempt of a job whose instance waits for it. */
  heartbeat: (job: JobRecord) => Promise<void>;
  /** Called when a job ended in failure, or waits for a person from now on. */
  onTrouble: (job: JobRecord, state: 'failed' | 'held', error: JobError) => void;
  /** Called whenever a job ended, or waits for a person from now on; it may have been the last that was open. */
  onSettled: (job: JobRecord, state: JobState) => void;
}

/** Takes no more jobs and waits for those under way. */
export interface RunningWorker {
  close: () => Promise<void>;
}

const PING_TIMEOUT_MS = 1_000;
/** Only the order in which jobs come back: the worker is paused until the outage ends. */
const OUTAGE_WAIT_MS = 1_000;

/** Takes jobs from BullMQ and works them; what happened is in the record before BullMQ hears of it. */
export function startWorker(options: WorkerOptions, dependencies: WorkerDependencies): RunningWorker {
  const { store, dispatcher, log, steps, outages, heartbeat, onTrouble, onSettled } = dependencies;

  /** @throws LostLock; DelayedError */
  async function work(bull: BullJob, lock = ''): Promise<void> {
    const stillLocked = async () => {
      if ((await bull.extendLock(lock, options.lockMs)) !== 1) throw new LostLock();
    };
    const token = bull.id ?? '';
    const job = await store.begin(token, randomUUID(), { key: `${QUEUE}:${token}:lock`, value: lock });
    if (job === 'lost') throw new LostLock();
    if (!job) return;
    const jobLog = log.child({ job: job.id, kind: job.kind, instanceId: job.instanceId });
    try {
      if (job.attempts > 1)
        await heartbeat(job).catch(error => jobLog.warn({ err: describe(error) }, 'no heartbeat'));
      let left: JobRecord | undefined = job;
      while (left) {
        await runSteps(left, { steps, store, dispatcher, log: jobLog, stillLocked });
        // News that came meanwhile may have left something to do.
        left = (await end(left, 'done')) ? undefined : await store.get(job.id);
        if (left && (left.state !== 'running' || left.run !== job.run || left.worker !== job.worker))
          throw new LostLock();
      }
      jobLog.info({ attempts: job.attempts, node: job.node }, 'job done');
    } catch (error) {
      if (error instanceof Waits) return;
      if (error instanceof LostLock) {
        jobLog.warn('lost the job’s lock: another worker goes on with it');
        // BullMQ must not take the job for done: should nobody else have it, it comes back.
        throw error;
      }
      const delayMs = error instanceof Later ? await giveWay(job, error) : await fail(job, error, jobLog);
      if (delayMs === undefined) return;
      await bull.moveToDelayed(Date.now() + delayMs, lock);
      throw new DelayedError();
    }
  }

  /** @returns how long, in milliseconds @throws LostLock */
  async function giveWay(job: JobRecord, { delayMs }: Later): Promise<number> {
    const { moved } = await store.move(job, ['running'], 'running', { attempts: job.attempts - 1 });
    if (!moved) throw new LostLock();
    return delayMs;
  }

  /** @returns how long to wait before the next attempt, in milliseconds; undefined where there is none */
  async function fail(job: JobRecord, error: unknown, jobLog: Logger): Promise<number | undefined> {
    const outage = await outages.explains(error);
    const fate: Fate = outage ? { kind: 'retry', delayMs: OUTAGE_WAIT_MS } : fateOf(error, job.attempts);
    const said = {
      code: error instanceof AppError ? error.code : ('internal' as const),
      message: describe(error),
    };
    if (fate.kind === 'retry') {
      jobLog.warn(
        { err: said.message, attempts: job.attempts, inMs: fate.delayMs },
        'job will be tried again',
      );
      // What no job could have done is no attempt of this one.
      const attempts = outage ? job.attempts - 1 : job.attempts;
      const { moved } = await store.move(job, ['running'], 'retrying', { attempts, error: said });
      if (!moved) throw new LostLock();
      return fate.delayMs;
    }
    const state = fate.kind === 'hold' ? 'held' : 'failed';
    jobLog.error({ node: job.node, err: said.message, attempts: job.attempts }, `job ${state}`);
    if (!(await end(job, state, said))) throw new LostLock();
    onTrouble(job, state, said);
    return undefined;
  }

  async function end(job: JobRecord, state: JobState, error?: JobRecord['error']): Promise<boolean> {
    const finishedAt = state === 'held' ? {} : { finishedAt: new Date().toISOString() };
    const result = await store.move(job, ['running'], state, { ...finishedAt, ...(error && { error }) });
    if (!result.moved) return false;
    dispatcher.dispatch(result.tokens);
    onSettled(job, state);
    return true;
  }

  const worker = new Worker(QUEUE, work, {
    connection: dependencies.redis,
    prefix: options.prefix,
    concurrency: options.concurrency,
    lockDuration: options.lockMs,
    stalledInterval: options.lockMs / 2,
    // A worker killed in the middle of a job is no fault of the job.
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    runRetryDelay: 1_000,
  });
  outages.watch({ pause: () => void worker.pause(true), resume: () => worker.resume() });
  worker.on('error', error => log.debug({ err: describe(error) }, 'worker'));
  return {
    async close() {
      // Without Redis no job can end; another worker goes on with them.
      await worker.close(!(await answers(dependencies.redis)));
    },
  };
}

async function answers(redis: Redis): Promise<boolean> {
  const late = new AbortController();
  const patience = delay(PING_TIMEOUT_MS, false, { signal: late.signal }).catch(() => false);
  const answer = redis.ping().then(
    () => true,
    () => false,
  );
  return Promise.race([answer, patience]).finally(() => late.abort());
}
