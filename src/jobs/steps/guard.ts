import type { ChefClient } from '../../clients/chef.ts';
import type { ChefNode } from '../../clients/chef-node.ts';
import { checkDeath, checkProtected } from '../../guard.ts';
import { isApproved } from '../../job.ts';
import type { JobRecord } from '../record.ts';
import type { Step } from '../run.ts';
import { checkInstance, type InstanceDependencies } from './instance.ts';

/** How the words of a node are read. */
export interface NodeReading {
  attribute: (node: ChefNode, path: string) => unknown;
  ohaiTime: (node: ChefNode) => Date | undefined;
  /** Dotted path of the node attribute that holds the EC2 instance id. */
  instanceAttribute: string;
}

export interface GuardDependencies extends InstanceDependencies {
  chef: ChefClient;
  protectedNodes: readonly string[];
  /** Takes a deletion out of the budget. @throws AppError `over-budget` */
  spend: (jobId: string) => Promise<void>;
}

/** Whether this node may be deleted at all, and now; before anything is done to it, its downtime included. */
export function guardStep(dependencies: GuardDependencies): Step {
  const { chef, protectedNodes, spend } = dependencies;
  return async (job, context) => {
    if (!job.node) return { state: 'skipped', note: 'no node' };
    const nothingLeft = !job.facts.inChef && !(await chef.getClient(job.node));
    if (nothingLeft) return { state: 'done', note: 'there is nothing to delete' };
    if (!isApproved(job, 'contradiction')) checkProtected(job.node, protectedNodes);
    const said = await checkInstance(job, context, dependencies);
    if (!isApproved(job, 'over-budget')) await spend(job.id);
    const approved = job.approvedFor && `approved by ${job.approvedBy}: ${job.approvedFor.join(', ')}`;
    const note = [approved, said].filter(Boolean).join('; ');
    return { state: 'done', ...(note && { note }) };
  };
}

/** Whether the node is the one whose death the job is about; a person who approved the job has looked. */
export function checkNode(job: JobRecord, node: ChefNode, reading: NodeReading): void {
  if (isApproved(job, 'contradiction')) return;
  const { attribute, ohaiTime, instanceAttribute } = reading;
  const { instance, goneAt } = job.facts;
  checkDeath(
    {
      node: node.name,
      instanceId: job.instanceId,
      publishedAt: job.publishedAt,
      foundInstance: instance,
      goneAt: goneAt === undefined ? undefined : new Date(goneAt),
    },
    { instanceId: attribute(node, instanceAttribute), ohaiTime: ohaiTime(node) },
    instanceAttribute,
  );
}
