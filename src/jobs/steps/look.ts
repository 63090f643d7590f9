import type { ChefClient } from '../../clients/chef/client.ts';
import type { ChefNode } from '../../domain/chef-node.ts';
import {
  reasonsAgainstClient,
  reasonsAgainstNode,
  type SeenClient,
  type SeenNode,
  type Termination,
} from '../../domain/deletion-guard.ts';
import type { Reason } from '../../domain/errors.ts';
import { isSaidBy, signingKeys } from '../../domain/evidence.ts';
import type { JobRecord } from '../record.ts';

/** How the attributes of a node are read. */
export interface NodeReading {
  attribute: (node: ChefNode, path: string) => unknown;
  ohaiTime: (node: ChefNode) => Date | undefined;
  /** Dotted path of the node attribute that holds the EC2 instance id. */
  instanceAttribute: string;
}

/** Node and client of one name, as the Chef server has them. */
export interface Seen {
  node: SeenNode | undefined;
  client: SeenClient | undefined;
}

/** Reads node and client side by side. */
export async function lookAt(
  name: string,
  { chef, ...reading }: NodeReading & { chef: Pick<ChefClient, 'getNode' | 'clientIdentity'> },
): Promise<Seen> {
  const [node, client] = await Promise.all([chef.getNode(name), chef.clientIdentity(name)]);
  return { node: node && seenNode(node, reading), client };
}

export function seenNode(node: ChefNode, { attribute, ohaiTime, instanceAttribute }: NodeReading): SeenNode {
  return { instanceId: attribute(node, instanceAttribute), ohaiTime: ohaiTime(node) };
}

/** What the job says about the node of this name. @param facts with what an earlier step found */
export function terminationOf(job: JobRecord, node: string): Termination {
  const { instance, goneAt, clientKeys, confirmed } = job.facts;
  return {
    node,
    instanceId: job.instanceId,
    // What AWS confirms is said when it is asked.
    saidAt: new Date(Math.max(job.saidAt.getTime(), confirmed?.at ?? 0)),
    saidByHost: isSaidBy(job, 'host') && !isSaidBy(job, 'aws', 'person', 'approver'),
    foundInstance: instance,
    goneAt: goneAt === undefined ? undefined : new Date(goneAt),
    signedWith: signingKeys(job),
    checkedKeys: clientKeys,
  };
}

/** Everything that speaks against the deletion of this node and client as they are now. */
export function reasonsAgainst(said: Termination, { node, client }: Seen, attribute: string): Reason[] {
  return [
    ...(node ? reasonsAgainstNode(said, node, attribute) : []),
    ...(client ? reasonsAgainstClient(said, client, node !== undefined) : []),
  ];
}
