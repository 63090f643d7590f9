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
}

/** What a step may do besides its own calls. */
export interface StepContext {
  /** Right before each destructive call: @throws LostLock */
  stillLocked: () => Promise<void>;
  /** Makes the job one of this node. @throws Waits */
  claimNode: (node: string) => Promise<void>;
  /** The same for an instance. @throws Waits */
  claimInstance: (instanceId: string) => Promise<void>;
  remember: (facts: Facts) => Promise<void>;
  /** Lets another job begin: what is left of this one only waits. */
  letGo: () => void;
}

export type Step = (job: JobRecord, context: StepContext) => Promise<StepResult>;
export type Steps = Record<StepName, Step>;

export interface RunDependencies {
  steps: Steps;
  store: JobStore;
  dispatcher: Dispatcher;
  log: Logger;
  stillLocked: () => Promise<void>;
  letGo: () => void;
}

/** Works the steps of the job's plan that are not done yet, each recorded when it is. */
export async function runSteps(
  job: JobRecord,
  { steps, store, dispatcher, log, stillLocked, letGo }: RunDependencies,
) {
  const context: StepContext = {
    stillLocked,
    letGo,
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
    const result = await attempt(name, job, context, steps, store);
    const record = { name, at: new Date().toISOString(), ...result };
    if (!(await store.recordStep(job, record))) throw new LostLock();
    job.steps = [...job.steps.filter(step => step.name !== name), record];
    log[result.state === 'failed' ? 'warn' : 'info'](
      { step: name, node: job.node, ...result },
      `step ${result.state}`,
    );
  }
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
    if (!(error instanceof LostLock || error instanceof Waits)) {
      const at = new Date().toISOString();
      const kept = await store.recordStep(job, { name, state: 'failed', at, note: describe(error) });
      if (!kept) throw new LostLock();
    }
    throw error;
  }
}
