import type { ChefClient } from '../../clients/chef.ts';
import { AppError } from '../../errors.ts';
import type { JobRecord } from '../record.ts';
import { checkNode, type NodeReading } from './guard.ts';

export interface ZombieLookDependencies extends NodeReading {
  chef: ChefClient;
}

/** What Chef shows under the name of a node that was deleted. */
export type Sighting =
  | { kind: 'nothing' }
  /** The node again, saved by the chef-client of the host that died. */
  | { kind: 'zombie' }
  /** A new machine of the same name. */
  | { kind: 'another' }
  /** It may be either, or the host never died. */
  | { kind: 'doubtful'; why: string };

/** Looks whether a node that a job deleted is there again; what the job was let pass by a person does not count here. */
export function zombieLook(dependencies: ZombieLookDependencies): (job: JobRecord) => Promise<Sighting> {
  const { chef, attribute, instanceAttribute } = dependencies;
  return async job => {
    const node = job.node === null ? undefined : await chef.getNode(job.node);
    if (!node) return { kind: 'nothing' };
    const dead = job.instanceId ?? job.facts.instance;
    const seen = attribute(node, instanceAttribute);
    if (dead !== undefined && typeof seen === 'string' && seen !== dead) return { kind: 'another' };
    try {
      checkNode({ ...job, approvedFor: [] }, node, dependencies);
      return { kind: 'zombie' };
    } catch (error) {
      if (error instanceof AppError && error.code === 'contradiction')
        return { kind: 'doubtful', why: error.message };
      throw error;
    }
  };
}
