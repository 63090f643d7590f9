import { randomUUID } from 'node:crypto';
import { type Job as BullJob, DelayedError } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { RedisCheck } from '../clients/redis/durability.ts';
import { AppError, describe, type HoldCode } from '../domain/errors.ts';
import { isSaidBy } from '../domain/evidence.ts';
import type { JobResult, JobState } from '../domain/job.ts';
import { openBullWorker } from './bull-worker.ts';
import type { Outages } from './outages.ts';
import { type Dispatcher, QUEUE } from './outbox.ts';
import type { JobError, JobRecord } from './record.ts';
import { type Fate, fateOf } from './retry.ts';
import { LockLostError, RescheduleError, runSteps, type Steps, WaitingForTurnError } from './run-steps.ts';
import type { Change, JobStore } from './store.ts';

export interface WorkerOptions {
  prefix: string;
  /** Jobs that this process works on at once. */
  concurrency: number;
  /** How long a job of a worker that died stays locked, in milliseconds. */
  lockMs: number;
}

export interface WorkerDependencies {
  redis: Redis;
  check: RedisCheck;
  store: JobStore;
  dispatcher: Dispatcher;
  steps: Steps;
  log: Logger;
  outages: Outages;
  /** Called at each further attempt of a job whose instance waits for it. */
  heartbeat: (job: JobRecord) => Promise<void>;
  /** Notes that a job has changed what Chef knows. */
  stamp: (jobId: string) => Promise<void>;
  /** Takes back what a job that ends without its deletion did before: its downtime, and its part of the budget. */
  undo: (job: JobRecord) => Promise<void>;
  /** Called when a job failed, or waits for a person from now on. */
  onTrouble: (job: JobRecord, state: 'failed' | 'held', error: JobError) => void;
  /** Called whenever a job ended, or waits for a person from now on; it may have been the last that was open. */
  onSettled: (job: JobRecord, state: JobState) => void;
}

/** `close` takes no more jobs and waits for those under way. */
export interface RunningWorker {
  close: () => Promise<void>;
}

/** Only the order in which jobs come back: the worker is paused until the outage ends. */
const OUTAGE_WAIT_MS = 1_000;
/** How often it is tried to take back what a job did before the job ends all the same. */
const UNDO_ATTEMPTS = 5;
const UNDO_WAIT_MS = 5_000;

/** Takes jobs from BullMQ and works them; what happened is in the record before BullMQ learns of it. */
export function startWorker(options: WorkerOptions, dependencies: WorkerDependencies): RunningWorker {
  const { store, dispatcher, log, steps, outages, heartbeat, stamp, undo, onTrouble, onSettled } =
    dependencies;

  /** @throws LockLostError; DelayedError */
  async function work(bull: BullJob, lockValue = ''): Promise<void> {
    const token = bull.id ?? '';
    const lock = { key: `${QUEUE}:${token}:lock`, value: lockValue, ms: options.lockMs };
    const job = await store.begin(token, randomUUID(), lock);
    if (job === 'lost') throw new LockLostError();
    if (!job) return;
    const jobLog = log.child({ job: job.id, kind: job.kind, instanceId: job.instanceId });
    try {
      if (job.attempts > 1)
        await heartbeat(job).catch(error => jobLog.warn({ err: describe(error) }, 'no heartbeat'));
      let left: JobRecord | undefined = job;
      while (left) {
        await runSteps(left, { steps, store, dispatcher, log: jobLog, lock, stamp });
        // What was added meanwhile may have left something to do.
        left = (await end(left, 'done', { result: resultOf(left) })) ? undefined : await readAgain(left);
      }
      jobLog.info({ attempts: job.attempts, node: job.node }, 'job done');
    } catch (error) {
      if (error instanceof WaitingForTurnError) return;
      if (error instanceof LockLostError) {
        jobLog.warn('lost the job’s lock: another worker goes on with it');
        // BullMQ must not take the job for done: if no other worker has it, it comes back.
        throw error;
      }
      const delayMs =
        error instanceof RescheduleError ? await giveWay(job, error) : await fail(job, error, jobLog);
      if (delayMs === undefined) return;
      await bull.moveToDelayed(Date.now() + delayMs, lockValue);
      throw new DelayedError();
    }
  }

  /**
   * Reads a job to which something was added while it was worked. If AWS announced the end meanwhile, which does not know
   * names, the job looks again which node the instance is.
   * @throws LockLostError if the job is no longer with this worker
   */
  async function readAgain(job: JobRecord): Promise<JobRecord> {
    const now = await store.get(job.id);
    if (now?.state !== 'running' || now.run !== job.run || now.worker !== job.worker)
      throw new LockLostError();
    return isSaidBy(now, 'aws') && !isSaidBy(job, 'aws') ? { ...now, steps: [] } : now;
  }

  /** @returns how long, in milliseconds @throws LockLostError */
  async function giveWay(job: JobRecord, { delayMs }: RescheduleError): Promise<number> {
    const { moved } = await store.move(job, ['running'], 'running', { attempts: job.attempts - 1 });
    if (!moved) throw new LockLostError();
    return delayMs;
  }

  async function retryLater(
    job: JobRecord,
    error: JobError,
    attempts: number,
    delayMs: number,
  ): Promise<number> {
    const { moved } = await store.move(job, ['running'], 'retrying', { attempts, error });
    if (!moved) throw new LockLostError();
    return delayMs;
  }

  /** @returns how long to wait before the next attempt, in milliseconds; undefined if there is none */
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
      // Failures caused by an outage do not count as attempts.
      return retryLater(job, said, outage ? job.attempts - 1 : job.attempts, fate.delayMs);
    }
    try {
      await undo(job);
    } catch (undoError) {
      jobLog.warn(
        { err: describe(undoError), attempts: job.attempts },
        'what was done is not taken back yet',
      );
      if (job.attempts < UNDO_ATTEMPTS) return retryLater(job, said, job.attempts, UNDO_WAIT_MS);
    }
    return settle(job, fate.kind, error, said, jobLog);
  }

  /** @returns 0 if something was added to the job meanwhile, so that it looks again at once */
  async function settle(
    job: JobRecord,
    fate: 'hold' | 'fail',
    error: unknown,
    said: JobError,
    jobLog: Logger,
  ): Promise<number | undefined> {
    const reasons = error instanceof AppError ? error.reasons : undefined;
    const [first] = reasons ?? [];
    // Nobody has to decide if a person did, or if the host took its own word back.
    const decided = first?.by === 'person' || !isSaidBy(job, 'aws', 'person', 'approver');
    if (first?.code === 'overruled' && decided) {
      jobLog.info({ node: job.node, why: said.message }, 'job done: overruled');
      return (await end(job, 'done', { result: 'overruled' })) ? undefined : lookAgain(job, said);
    }
    const state = fate === 'hold' ? 'held' : 'failed';
    const change: Change = {
      error: said,
      ...(state === 'held' && {
        reasons: reasons ?? [{ code: said.code as HoldCode, message: said.message }],
        ...(job.facts.machine && { machine: job.facts.machine }),
        release: reasons?.some(({ code }) => code === 'other-instance') ?? false,
      }),
    };
    if (!(await end(job, state, change))) return lookAgain(job, said);
    jobLog.error({ node: job.node, err: said.message, attempts: job.attempts }, `job ${state}`);
    onTrouble(job, state, said);
    return undefined;
  }

  async function lookAgain(job: JobRecord, said: JobError): Promise<number> {
    return retryLater(await readAgain(job), said, job.attempts, 0);
  }

  /** @returns false if something was added to the job since it was read @throws LockLostError */
  async function end(job: JobRecord, state: JobState, change: Change = {}): Promise<boolean> {
    const finishedAt = state === 'held' ? {} : { finishedAt: new Date().toISOString() };
    const result = await store.move(job, ['running'], state, {
      ...finishedAt,
      ...change,
      // What was approved counts until the job ends.
      ...(state !== 'held' && { approval: null }),
      heard: job.heard,
    });
    if (!result.moved && result.heard) return false;
    if (!result.moved) throw new LockLostError();
    dispatcher.dispatch(result.tokens);
    onSettled(job, state);
    return true;
  }

  const worker = openBullWorker(work, options, dependencies);
  outages.watch(worker);
  return worker;
}

function resultOf({ kind, touched, facts }: JobRecord): JobResult {
  switch (kind) {
    case 'delete':
      return touched ? 'deleted' : 'nothing-found';
    case 'ensure':
      return facts.lost?.node || facts.lost?.client ? 'restored' : 'unchanged';
    case 'downtime':
      return facts.downtime ? 'downtime-set' : 'nothing-found';
  }
}
