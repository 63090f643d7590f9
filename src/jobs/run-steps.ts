import type { Logger } from 'pino';
import { isApproved } from '../domain/deletion-guard.ts';
import { AppError, describe } from '../domain/errors.ts';
import type { StepName } from '../domain/job.ts';
import { plan } from '../domain/plan.ts';
import type { Dispatcher } from './outbox.ts';
import { pendingActions } from './pending-actions.ts';
import type { Facts, JobRecord } from './record.ts';
import { overruledByEnsure } from './steps/overruled.ts';
import type { Claimed, JobStore, Lock } from './store.ts';

/** Thrown when another worker has the job now: nothing more may be done for it here. */
export class LockLostError extends Error {}

/** Thrown when the job turned out to be about a node that another job works on: it waits for its turn. */
export class WaitingForTurnError extends Error {}

export interface StepResult {
  state: 'done' | 'skipped' | 'failed';
  note?: string;
  /** What it learnt that later steps, or the next attempt, need. */
  facts?: Facts;
  /** Whether nothing is left to do but to complete lifecycle actions. */
  ends?: true;
}

/** Thrown when the rest of a job has to wait, so that others may work meanwhile; it does not count as an attempt. */
export class RescheduleError extends Error {
  readonly delayMs: number;

  constructor(delayMs: number) {
    super(`nothing to be done for ${delayMs} ms`);
    this.delayMs = delayMs;
  }
}

/** Whether a step that threw this did not fail: the job goes on elsewhere, or at another time. */
export function isControlFlow(error: unknown): boolean {
  return (
    error instanceof LockLostError || error instanceof WaitingForTurnError || error instanceof RescheduleError
  );
}

/** Passed on to the HTTP request, which calls it right before it is sent. @throws AppError if it must not be sent */
type BeforeSend = () => void;

/** What a step may do besides its own calls. */
export interface StepContext {
  /**
   * Does something that changes Chef, if this worker still has the job, with all steps before it recorded and the change
   * noted for chef-client before and after it.
   * @param readAt when the step began to read what it decided by, as performance.now(); now by default
   * @throws LockLostError; AppError `overruled` if an `ensure` was said after the deletion, `conflict` if that was too long ago
   */
  changeChef: <T>(act: (beforeSend: BeforeSend) => Promise<T>, readAt?: number) => Promise<T>;
  /** Makes the job one of this node. @throws WaitingForTurnError */
  claimNode: (node: string) => Promise<void>;
  /** The same for an instance. @throws WaitingForTurnError */
  claimInstance: (instanceId: string) => Promise<void>;
  /** Keeps what must be known if this attempt ends in the middle of the step. @throws LockLostError */
  remember: (facts: Facts) => Promise<void>;
}

export type Step = (job: JobRecord, context: StepContext) => Promise<StepResult>;
export type Steps = Record<StepName, Step>;

export interface RunDependencies {
  steps: Steps;
  store: JobStore;
  dispatcher: Dispatcher;
  log: Logger;
  /** BullMQ's lock of the job, and how long it lives from each change on, in milliseconds. */
  lock: Lock & { ms: number };
  /** Notes that a job has changed what Chef knows. */
  stamp: (jobId: string) => Promise<void>;
}

/** Part of a lock's life; a worker that was paused for longer must read again. */
const FRESH = 0.8;

/**
 * Works the steps of the job's plan that are not done yet. Each is recorded when it is done, while the next one begins
 * already; what cannot be undone waits for the record.
 */
export async function runSteps(job: JobRecord, dependencies: RunDependencies) {
  const { steps, store, dispatcher, log, lock, stamp } = dependencies;
  let recorded: Promise<unknown> = Promise.resolve();
  const context: StepContext = {
    async changeChef(act, readAt = performance.now()) {
      await recorded;
      const answer = await store.mayChange(job, lock, isApproved(job.approval, 'overruled'));
      if (answer === 'lost') throw new LockLostError();
      if (answer !== 'allowed') {
        const reason = overruledByEnsure(job, answer);
        throw new AppError(reason.code, reason.message, { reasons: [reason] });
      }
      job.touched = true;
      // Time that passes here is that of a process that was stopped, or of a machine that is overloaded.
      const result = await act(() => {
        if (performance.now() - readAt < lock.ms * FRESH) return;
        throw new AppError('conflict', `what was read of node ${job.node} is too old; reading it again`, {
          retryAfterMs: 0,
        });
      });
      await stamp(job.id);
      return result;
    },
    async claimNode(node) {
      await goOn(store.claimNode(job, node), dispatcher);
      job.node = node;
    },
    async claimInstance(instanceId) {
      await goOn(store.claimInstance(job, instanceId), dispatcher);
      job.instanceId = instanceId;
    },
    async remember(facts) {
      if (!(await store.remember(job, facts))) throw new LockLostError();
    },
  };
  let ended = false;
  for (const name of plan(job)) {
    if (isDone(job, name)) continue;
    if (ended && name !== 'complete-lifecycle') continue;
    const { facts, ends, ...result } = await attempt(name, job, context, steps, store);
    ended ||= ends === true;
    const record = { name, at: new Date().toISOString(), ...result };
    const kept = store.recordStep(job, record, facts).then(isOurs => {
      if (!isOurs) throw new LockLostError();
      log[result.state === 'failed' ? 'warn' : 'info'](
        { step: name, node: job.node, ...result },
        `step ${result.state}`,
      );
    });
    recorded = Promise.all([recorded, kept]);
    // Thrown where it is awaited; a step that fails meanwhile throws its own error.
    recorded.catch(() => {});
    job.steps = [...job.steps.filter(step => step.name !== name), record];
  }
  await recorded;
}

function isDone(job: JobRecord, name: StepName): boolean {
  if (name === 'complete-lifecycle' && pendingActions(job).length > 0) return false;
  return job.steps.some(step => step.name === name && step.state !== 'failed');
}

/** @throws WaitingForTurnError, LockLostError */
async function goOn(claim: Promise<Claimed>, dispatcher: Dispatcher): Promise<void> {
  const { goesOn, tokens, lost } = await claim;
  if (lost) throw new LockLostError();
  dispatcher.dispatch(tokens);
  if (!goesOn) throw new WaitingForTurnError();
}

async function attempt(
  name: StepName,
  job: JobRecord,
  context: StepContext,
  steps: Steps,
  store: JobStore,
): Promise<StepResult> {
  try {
    return await steps[name](job, context);
  } catch (error) {
    if (!isControlFlow(error)) {
      const at = new Date().toISOString();
      const kept = await store.recordStep(job, { name, state: 'failed', at, note: describe(error) });
      if (!kept) throw new LockLostError();
    }
    throw error;
  }
}
