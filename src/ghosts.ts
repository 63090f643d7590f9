import { isInstanceId } from './names.ts';

/** A node as Chef's search shows it. */
export interface ListedNode {
  name: string;
  /** Value of the attribute that holds the instance id. */
  instance?: unknown;
  /** When chef-client last ran there, in seconds since 1970. */
  ohaiTime?: unknown;
  /** AWS region it is in. */
  region?: unknown;
}

/** What is known of instances, from EC2 or from a list of those that live. */
export interface Instances {
  /** Instance id -> state, as EC2 names them. */
  states: ReadonlyMap<string, string | undefined>;
  /** Regions that were asked; undefined where that is not known. */
  regions: ReadonlySet<string> | undefined;
  /** What to say of an instance that is not among them. */
  unknown: string;
}

/** A node whose instance has ended. */
export interface Ghost {
  node: string;
  instanceId: string;
  /** ISO 8601, UTC; null where chef-client never ran. */
  lastSeen: string | null;
  reason: string;
}

export interface Comparison {
  /** How many nodes there are in all. */
  nodes: number;
  /** How many of the instances live. */
  living: number;
  /** The longest unseen first. */
  ghosts: Ghost[];
  /** Nodes of which it is not known: never ghosts. */
  apart: { node: string; reason: string }[];
}

/** @param attribute path of the node attribute that holds the instance id */
export function findGhosts(
  nodes: readonly ListedNode[],
  { states, regions, unknown }: Instances,
  attribute: string,
): Comparison {
  const ghosts: Ghost[] = [];
  const apart: Comparison['apart'] = [];
  for (const { name, instance, ohaiTime, region } of nodes) {
    if (!isInstanceId(instance)) {
      const has = instance === undefined || instance === null ? 'has no' : 'has no instance id as its';
      apart.push({ node: name, reason: `${has} ${attribute}` });
    } else if (regions && typeof region === 'string' && !regions.has(region)) {
      apart.push({ node: name, reason: `is in ${region}, which was not asked` });
    } else if (hasEnded(states.get(instance))) {
      const state = states.get(instance);
      const reason = state === undefined ? unknown : `EC2 says ${state}`;
      ghosts.push({ node: name, instanceId: instance, lastSeen: toIso(ohaiTime), reason });
    }
  }
  const living = [...states.values()].filter(state => !hasEnded(state)).length;
  return { nodes: nodes.length, living, ghosts: ghosts.sort(longestUnseenFirst), apart };
}

/** Why so many ghosts are more likely a mistake than the truth; undefined where they are not. */
export function suspicion({ nodes, living, ghosts }: Comparison): string | undefined {
  if (ghosts.length === 0) return undefined;
  if (living === 0) return 'no instance lives at all';
  if (ghosts.length > nodes / 2) return `${ghosts.length} of ${nodes} nodes would be ghosts`;
  return undefined;
}

function toIso(seconds: unknown): string | null {
  if (typeof seconds !== 'number' || seconds <= 0) return null;
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}

/** Those that were never seen come last: how old they are is not known. */
function longestUnseenFirst(one: Ghost, other: Ghost): number {
  return (one.lastSeen ?? '9').localeCompare(other.lastSeen ?? '9') || one.node.localeCompare(other.node);
}

function hasEnded(state: string | undefined): boolean {
  return state === undefined || state === 'terminated' || state === 'shutting-down';
}
