import type { ChefClient } from '../../clients/chef.ts';
import type { ChefNode } from '../../clients/chef-node.ts';
import { checkDeath, checkProtected } from '../../guard.ts';
import type { Step } from '../run.ts';
import type { JobRecord } from '../store.ts';

/** How the words of a node are read. */
export interface NodeReading {
  attribute: (node: ChefNode, path: string) => unknown;
  ohaiTime: (node: ChefNode) => Date | undefined;
  /** Dotted path of the node attribute that holds the EC2 instance id. */
  instanceAttribute: string;
}

export interface GuardDependencies {
  chef: ChefClient;
  protectedNodes: readonly string[];
  /** Takes a deletion out of the budget. @throws AppError `over-budget` */
  spend: (jobId: string) => Promise<void>;
}

/** Whether this node may be deleted at all, and now; before anything is done to it, its downtime included. */
export function guardStep({ chef, protectedNodes, spend }: GuardDependencies): Step {
  return async job => {
    if (!job.node) return { state: 'skipped', note: 'no node' };
    if (job.approvedBy) return { state: 'done', note: `approved by ${job.approvedBy}` };
    const nothingLeft = !job.facts.inChef && !(await chef.getClient(job.node));
    if (nothingLeft) return { state: 'done', note: 'there is nothing to delete' };
    checkProtected(job.node, protectedNodes);
    await spend(job.id);
    return { state: 'done' };
  };
}

/** Whether the node is the one whose death the job is about; a person who approved the job has looked. */
export function checkNode(job: JobRecord, node: ChefNode, reading: NodeReading): void {
  if (job.approvedBy) return;
  const { attribute, ohaiTime, instanceAttribute } = reading;
  checkDeath(
    { node: node.name, instanceId: job.instanceId, publishedAt: job.publishedAt },
    { instanceId: attribute(node, instanceAttribute), ohaiTime: ohaiTime(node) },
    instanceAttribute,
  );
}
