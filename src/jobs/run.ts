import type { Logger } from 'pino';
import { describe } from '../errors.ts';
import type { StepName } from '../job.ts';
import { plan } from '../plan.ts';
import type { Dispatcher } from './dispatch.ts';
import type { Facts, JobRecord } from './record.ts';
import type { Claimed, JobStore } from './store.ts';

/** Thrown where another worker has the job by now: nothing more may be done for it here. */
export class LostLock extends Error {}

/** Thrown where the job turned out to be about a node that another job works on, and waits for its turn. */
export class Waits extends Error {}

export interface StepResult {
  state: 'done' | 'skipped' | 'failed';
  note?: string;
  /** What it learnt that those after it, or the next attempt, need. */
  facts?: Facts;
}

/** Thrown where what is left of a job has to wait, so that others may work meanwhile; no attempt is burnt by it. */
export class Later extends Error {
  readonly delayMs: number;

  constructor(delayMs: number) {
    super(`nothing to be done for ${delayMs} ms`);
    this.delayMs = delayMs;
  }
}

/** Whether a step that threw this did not fail: the job goes on elsewhere, or at another time. */
export function isLeft(error: unknown): boolean {
  return error instanceof LostLock || error instanceof Waits || error instanceof Later;
}

/** What a step may do besides its own calls. */
export interface StepContext {
  /** Right before each destructive call, with all steps before it recorded: @throws LostLock */
  stillLocked: () => Promise<void>;
  /** Makes the job one of this node. @throws Waits */
  claimNode: (node: string) => Promise<void>;
  /** The same for an instance. @throws Waits */
  claimInstance: (instanceId: string) => Promise<void>;
  /** Keeps what must be known if this attempt ends in the middle of the step. @throws LostLock */
  remember: (facts: Facts) => Promise<void>;
}

export type Step = (job: JobRecord, context: StepContext) => Promise<StepResult>;
export type Steps = Record<StepName, Step>;

export interface RunDependencies {
  steps: Steps;
  store: JobStore;
  dispatcher: Dispatcher;
  log: Logger;
  stillLocked: () => Promise<void>;
}

/**
 * Works the steps of the job's plan that are not done yet. Each is recorded when it is done, while the next one begins
 * already; what cannot be undone waits for the record.
 */
export async function runSteps(
  job: JobRecord,
  { steps, store, dispatcher, log, stillLocked }: RunDependencies,
) {
  let recorded: Promise<unknown> = Promise.resolve();
  const context: StepContext = {
    async stillLocked() {
      await recorded;
      await stillLocked();
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
      if (!(await store.remember(job, facts))) throw new LostLock();
    },
  };
  for (const name of plan(job)) {
    if (job.steps.some(step => step.name === name && step.state !== 'failed')) continue;
    const { facts, ...result } = await attempt(name, job, context, steps, store);
    const record = { name, at: new Date().toISOString(), ...result };
    const kept = store.recordStep(job, record, facts).then(isOurs => {
      if (!isOurs) throw new LostLock();
      log[result.state === 'failed' ? 'warn' : 'info'](
        { step: name, node: job.node, ...result },
        `step ${result.state}`,
      );
    });
    recorded = Promise.all([recorded, kept]);
    // Told where it is waited for; a step that fails meanwhile tells of itself.
    recorded.catch(() => {});
    job.steps = [...job.steps.filter(step => step.name !== name), record];
  }
  await recorded;
}

/** @throws Waits, LostLock */
async function goOn(claim: Promise<Claimed>, dispatcher: Dispatcher): Promise<void> {
  const { goesOn, tokens, lost } = await claim;
  if (lost) throw new LostLock();
  dispatcher.dispatch(tokens);
  if (!goesOn) throw new Waits();
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
    if (!isLeft(error)) {
      const at = new Date().toISOString();
      const kept = await store.recordStep(job, { name, state: 'failed', at, note: describe(error) });
      if (!kept) throw new LostLock();
    }
    throw error;
  }
}
