import type { ChefClient } from '../../clients/chef.ts';
import { AppError } from '../../errors.ts';
import { isApproved } from '../../job.ts';
import type { JobRecord } from '../record.ts';
import type { Step, StepContext } from '../run.ts';
import { checkNode, type NodeReading } from './guard.ts';
import { checkInstance, type InstanceDependencies } from './instance.ts';

export interface RemoveDependencies extends NodeReading, InstanceDependencies {
  chef: ChefClient;
  /** Notes that Chef is about to change or has changed, so that chef-client runs after it. */
  stamp: (jobId: string) => Promise<void>;
  /** Sees to it that the job's node is looked for again later. */
  expectReturn: (jobId: string) => Promise<void>;
}

type What = 'client' | 'node';

/** A dying chef-client may save its node once more; no more than a few times. */
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
    const { chef, expectReturn } = dependencies;
    const look = () => Promise.all([chef.getNode(name), chef.getClient(name)]);
    let [node, client] = await look();
    for (let returns = 0; node; returns++) {
      if (returns === RETURNS)
        throw new AppError('conflict', `Chef node ${name} keeps coming back; is its host alive?`);
      await remove('node', name, job, context, dependencies);
      [node, client] = await look();
    }
    if (client) {
      if (!isApproved(job, 'contradiction')) throw madeAgain(name);
      await remove('client', name, job, context, dependencies);
    }
    const gone = { state: 'done', note: 'node and client are gone' } as const;
    if (job.instanceId === null && !job.facts.inChef) return gone;
    await expectReturn(job.id);
    return { ...gone, facts: { goneAt: job.facts.goneAt ?? Date.now() } };
  };
}

function madeAgain(client: string): AppError {
  return new AppError(
    'contradiction',
    `Chef client ${client} was made again after its deletion: a new machine of this name? Its client was left alone`,
  );
}

async function removeStep(
  what: What,
  job: JobRecord,
  context: StepContext,
  dependencies: RemoveDependencies,
) {
  if (!job.node) return { state: 'skipped', note: 'no node' } as const;
  const outcome = await remove(what, job.node, job, context, dependencies);
  if (outcome === 'absent') return { state: 'done', note: `there was no ${what} ${job.node}` } as const;
  return { state: 'done' } as const;
}

async function remove(
  what: What,
  name: string,
  job: JobRecord,
  context: StepContext,
  dependencies: RemoveDependencies,
): Promise<'deleted' | 'absent'> {
  const { chef, stamp } = dependencies;
  await checkInstance(job, context, dependencies);
  const node = await chef.getNode(name);
  if (node) {
    checkNode(job, node, dependencies);
  } else if (what === 'node') {
    return 'absent';
  }
  const options = { after: Promise.all([stamp(job.id), context.stillLocked()]) };
  const outcome = await (what === 'node' ? chef.deleteNode(name, options) : chef.deleteClient(name, options));
  await stamp(job.id);
  return outcome;
}
