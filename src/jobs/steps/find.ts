import type { ChefClient } from '../../clients/chef.ts';
import type { ChefNode } from '../../clients/chef-node.ts';
import { AppError } from '../../errors.ts';
import type { JobRecord } from '../record.ts';
import type { Step, StepContext, StepResult } from '../run.ts';
import { checkNode, type NodeReading } from './guard.ts';

export interface FindDependencies extends NodeReading {
  chef: ChefClient;
}

/** When to look again for an instance that search does not know, in milliseconds: the index lags by up to a minute. */
const INDEX_WAITS_MS = [5_000, 15_000, 40_000];

/** Finds the node that the event speaks of: by its name, or by its instance id. */
export function findStep(dependencies: FindDependencies): Step {
  return (job, context) => {
    const named = 'node' in job.event ? job.event.node : undefined;
    return named === undefined
      ? findByInstance(job, context, dependencies)
      : findByName(named, job, dependencies);
  };
}

async function findByName(name: string, job: JobRecord, dependencies: FindDependencies): Promise<StepResult> {
  const node = await dependencies.chef.getNode(name);
  if (node) {
    checkNode(job, node, dependencies);
    return found(node, dependencies);
  }
  // The event may know the node by another name; its instance must not be taken for dealt with then.
  const [other] = job.instanceId ? await nodesOf(job.instanceId, dependencies) : [];
  if (other) {
    throw new AppError(
      'contradiction',
      `the event names node ${name}, which Chef does not have, but its instance ${job.instanceId} is Chef node ${other.name}; nothing was deleted`,
    );
  }
  return { state: 'done', note: `Chef has no node ${name}`, facts: { inChef: false } };
}

async function findByInstance(
  job: JobRecord,
  context: StepContext,
  dependencies: FindDependencies,
): Promise<StepResult> {
  const instanceId = job.instanceId ?? '';
  const [node, ...others] = await nodesOf(instanceId, dependencies);
  if (others.length > 0) {
    const names = [node, ...others].map(each => each?.name).join(', ');
    throw new AppError(
      'contradiction',
      `instance ${instanceId} is claimed by several Chef nodes: ${names}; nothing was deleted`,
    );
  }
  if (node) {
    await context.claimNode(node.name);
    return found(node, dependencies);
  }
  const wait = INDEX_WAITS_MS[job.attempts - 1];
  if (wait !== undefined) {
    throw new AppError('not-found', `Chef’s search shows no node of instance ${instanceId}; it may lag`, {
      retryAfterMs: wait,
    });
  }
  return { state: 'done', note: `Chef has no node of instance ${instanceId}`, facts: { inChef: false } };
}

/** What search says is believed only after the node itself says so. */
async function nodesOf(
  instanceId: string,
  { chef, attribute, instanceAttribute }: FindDependencies,
): Promise<ChefNode[]> {
  const names = await chef.findNodeNames(instanceAttribute, instanceId);
  const nodes = await Promise.all(names.map(name => chef.getNode(name)));
  return nodes.filter(
    node => node !== undefined && attribute(node, instanceAttribute) === instanceId,
  ) as ChefNode[];
}

function found(node: ChefNode, { attribute, instanceAttribute }: FindDependencies): StepResult {
  const word = (path: string) => {
    const value = attribute(node, path);
    return typeof value === 'string' ? value : undefined;
  };
  const fqdn = word('fqdn');
  const instance = word(instanceAttribute);
  const region = word('ec2.region');
  const facts = {
    inChef: true,
    ...(fqdn && { fqdn }),
    ...(instance && { instance }),
    ...(region && { region }),
  };
  return { state: 'done', note: `Chef node ${node.name}`, facts };
}
