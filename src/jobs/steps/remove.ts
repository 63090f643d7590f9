import type { ChefClient } from '../../clients/chef/client.ts';
import { holdFor, machineOf, notApproved } from '../../domain/deletion-guard.ts';
import { AppError } from '../../domain/errors.ts';
import type { JobRecord } from '../record.ts';
import type { Step, StepContext, StepResult } from '../run-steps.ts';
import { lookAt, type NodeReading, reasonsAgainst, terminationOf } from './look.ts';

export interface RemoveDependencies extends NodeReading {
  chef: ChefClient;
  /** Sees to it that the job's node is looked for again later. */
  expectReturn: (jobId: string) => Promise<void>;
}

type What = 'client' | 'node';

/** A last chef-client run may save its node once more; no more than a few times. */
const RETURNS = 3;

export function deleteClientStep(dependencies: RemoveDependencies): Step {
  return (job, context) => removeStep('client', job, context, dependencies);
}

export function deleteNodeStep(dependencies: RemoveDependencies): Step {
  return (job, context) => removeStep('node', job, context, dependencies);
}

/** Sees that client and node are gone, and removes a node that its own chef-client saved again meanwhile. */
export function verifyStep(dependencies: RemoveDependencies): Step {
  return async (job, context) => {
    const name = job.node;
    if (!name) return { state: 'skipped', note: 'no node' };
    let seen = await lookAt(name, dependencies);
    for (let returns = 0; seen.node; returns++) {
      if (returns === RETURNS)
        throw new AppError('conflict', `Chef node ${name} keeps coming back; is its host alive?`);
      await remove('node', name, job, context, dependencies);
      seen = await lookAt(name, dependencies);
    }
    if (seen.client) await remove('client', name, job, context, dependencies);
    if (!job.touched && !job.facts.inChef && job.instanceId === null) {
      return { state: 'done', note: `Chef has neither node nor client ${name}` };
    }
    await dependencies.expectReturn(job.id);
    return {
      state: 'done',
      note: 'node and client are gone',
      facts: { goneAt: job.facts.goneAt ?? Date.now() },
    };
  };
}

async function removeStep(
  what: What,
  job: JobRecord,
  context: StepContext,
  dependencies: RemoveDependencies,
): Promise<StepResult> {
  if (!job.node) return { state: 'skipped', note: 'no node' };
  const outcome = await remove(what, job.node, job, context, dependencies);
  if (outcome === 'absent') return { state: 'done', note: `there was no ${what} ${job.node}` };
  return { state: 'done' };
}

/**
 * Removes a node or a client that was read in this very attempt, and is still what the job is about. Nothing is sent
 * unless all of that was seen within the last seconds by a worker that has the job.
 */
async function remove(
  what: What,
  name: string,
  job: JobRecord,
  context: StepContext,
  dependencies: RemoveDependencies,
): Promise<'deleted' | 'absent'> {
  const { chef, instanceAttribute } = dependencies;
  const readAt = performance.now();
  const seen = await lookAt(name, dependencies);
  if (!seen[what]) return 'absent';
  // A new machine's client says nothing about the old machine's node.
  const about = what === 'node' ? { ...seen, client: undefined } : seen;
  const reasons = reasonsAgainst(terminationOf(job, name), about, instanceAttribute);
  job.facts.machine = machineOf(seen.node, seen.client);
  holdFor(reasons, notApproved(reasons, job.approval, seen.node, seen.client));
  return context.changeChef(
    beforeSend =>
      what === 'node' ? chef.deleteNode(name, { beforeSend }) : chef.deleteClient(name, { beforeSend }),
    readAt,
  );
}
