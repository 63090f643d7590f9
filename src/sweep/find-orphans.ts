import { awsLocation, type LocationValues } from '../domain/aws-location.ts';
import { isInstanceId } from '../domain/identifiers.ts';
import {
  type InstanceEnd,
  instanceEnd,
  type NodeReport,
  type RegionInstances,
  whyNotLongUnseen,
} from '../domain/instance-end.ts';

/** A node as Chef's search shows it. */
export interface ListedNode extends LocationValues {
  name: string;
  /** Value of the attribute that holds the instance id. */
  instance?: unknown;
  /** When chef-client last ran there, in seconds since 1970. */
  ohaiTime?: unknown;
}

/** What is known of instances: what EC2 answered, or the ids of all living instances as a person lists them. */
export type KnownInstances = { regions: readonly RegionInstances[] } | { living: ReadonlySet<string> };

/** A node whose instance has ended. */
export interface OrphanedNode {
  node: string;
  instanceId: string;
  /** When chef-client last ran there; ISO 8601, UTC. */
  lastSeen: string;
  reason: string;
}

export interface Comparison {
  /** Number of all nodes. */
  nodes: number;
  /** Number of living instances. */
  living: number;
  /** Longest unseen first. */
  orphans: OrphanedNode[];
  /** Nodes whose instance may live or have ended; they are never deleted. */
  apart: { node: string; reason: string }[];
}

/** @param attribute path of the node attribute that holds the instance id */
export function findOrphans(
  nodes: readonly ListedNode[],
  known: KnownInstances,
  attribute: string,
  now: Date,
): Comparison {
  const orphans: OrphanedNode[] = [];
  const apart: Comparison['apart'] = [];
  for (const node of nodes) {
    const { name, instance } = node;
    if (!isInstanceId(instance)) {
      const has = instance === undefined || instance === null ? 'has no' : 'has no instance id as its';
      apart.push({ node: name, reason: `${has} ${attribute}` });
      continue;
    }
    const lastSeen = toDate(node.ohaiTime);
    const { answer, because } = judge(instance, { ...awsLocation(node), lastSeen }, known, now);
    if (answer === 'alive') continue;
    if (answer === 'ended' && lastSeen) {
      orphans.push({ node: name, instanceId: instance, lastSeen: lastSeen.toISOString(), reason: because });
    } else {
      const doubt = answer === 'ended' ? `, but ${whyNotLongUnseen(lastSeen, now)}` : '';
      apart.push({ node: name, reason: `${because}${doubt}` });
    }
  }
  return {
    nodes: nodes.length,
    living: countLiving(known, now),
    orphans: orphans.sort(longestUnseenFirst),
    apart,
  };
}

/** Returns why so many orphaned nodes are more likely a mistake than the truth; undefined if they are not. */
export function suspicion({ nodes, living, orphans }: Comparison): string | undefined {
  if (orphans.length === 0) return undefined;
  if (living === 0) return 'no instance lives at all';
  if (orphans.length > nodes / 2) return `${orphans.length} of ${nodes} nodes would be deleted`;
  return undefined;
}

function judge(instanceId: string, node: NodeReport, known: KnownInstances, now: Date): InstanceEnd {
  if ('living' in known) {
    if (known.living.has(instanceId)) return { answer: 'alive', because: 'in the list of living instances' };
    const because = 'not in the list of living instances';
    const doubt = whyNotLongUnseen(node.lastSeen, now);
    return doubt === undefined
      ? { answer: 'ended', because }
      : { answer: 'unknown', because: `${because}, but ${doubt}` };
  }
  const asked =
    known.regions.find(({ states }) => states.has(instanceId)) ??
    known.regions.find(({ region }) => region === node.region) ??
    known.regions[0];
  if (asked?.states.size === 0) {
    const because = `EC2 in ${asked.region} of account ${asked.account ?? 'unknown'} lists no instance at all`;
    return { answer: 'unknown', because };
  }
  const ec2 = asked && { state: asked.states.get(instanceId), region: asked.region, account: asked.account };
  return instanceEnd({ ec2, node, now });
}

function countLiving(known: KnownInstances, now: Date): number {
  if ('living' in known) return known.living.size;
  const states = known.regions.flatMap(({ states }) => [...states.values()]);
  return states.filter(state => {
    return instanceEnd({ ec2: { state, region: undefined, account: undefined }, now }).answer === 'alive';
  }).length;
}

function toDate(seconds: unknown): Date | undefined {
  if (typeof seconds !== 'number' || seconds <= 0) return undefined;
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function longestUnseenFirst(one: OrphanedNode, other: OrphanedNode): number {
  return one.lastSeen.localeCompare(other.lastSeen) || one.node.localeCompare(other.node);
}
