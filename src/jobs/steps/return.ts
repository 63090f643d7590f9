import type { ChefClient } from '../../clients/chef/client.ts';
import type { ChefNode } from '../../domain/chef-node.ts';
import { reasonsAgainstNode } from '../../domain/deletion-guard.ts';
import { isSaidBy } from '../../domain/evidence.ts';
import type { JobRecord } from '../record.ts';
import { nodesOf } from './find.ts';
import { type NodeReading, seenNode, terminationOf } from './look.ts';

export interface ReturnDependencies extends NodeReading {
  chef: ChefClient;
}

/** What Chef shows of a machine whose node was deleted. */
export type Sighting =
  | { kind: 'nothing' }
  /** The node again, saved by the chef-client of the machine that ended. */
  | { kind: 'returned' }
  /** A new machine of the same name. */
  | { kind: 'another' }
  /** It may be either, or the machine never ended. */
  | { kind: 'unsure'; why: string };

/**
 * Looks whether the node that a job deleted is there again; what a person let the job pass does not count here. If AWS
 * announced the end only after the job had deleted the node that a host named, search is asked for the instance's own node.
 */
export function lookForReturn(dependencies: ReturnDependencies): (job: JobRecord) => Promise<Sighting> {
  const { chef, attribute, instanceAttribute } = dependencies;
  return async job => {
    const node = await nodeOf(job, dependencies);
    if (!node) return { kind: 'nothing' };
    const ended = job.instanceId ?? job.facts.instance;
    const seen = attribute(node, instanceAttribute);
    if (ended !== undefined && typeof seen === 'string' && seen !== ended) return { kind: 'another' };
    const [reason] = reasonsAgainstNode(
      terminationOf(job, node.name),
      seenNode(node, dependencies),
      instanceAttribute,
    );
    return reason ? { kind: 'unsure', why: reason.message } : { kind: 'returned' };
  };

  async function nodeOf(job: JobRecord, reading: ReturnDependencies): Promise<ChefNode | undefined> {
    const named = job.node === null ? undefined : await chef.getNode(job.node);
    const unsearched = !job.facts.searched || job.node === null;
    if (job.instanceId === null || !unsearched || !isSaidBy(job, 'aws')) return named;
    if (named && attribute(named, instanceAttribute) === job.instanceId) return named;
    const [node] = await nodesOf(job.instanceId, reading);
    return node ?? named;
  }
}
