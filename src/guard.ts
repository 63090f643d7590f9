import { AppError } from './errors.ts';

/** What an event says of a node, as far as it must be true before the node is deleted. */
export interface Death {
  node: string;
  /** The instance that ended; null where the event names only the node. */
  instanceId: string | null;
  /** When it was said. */
  publishedAt: Date;
  /** The instance that the node was when it was found, where the event does not tell. */
  foundInstance?: string | undefined;
  /** Where the node is there again: when it was deleted. */
  goneAt?: Date | undefined;
}

/** The node as the Chef server has it now. */
export interface SeenNode {
  /** Value of the node attribute that holds the instance id; undefined where it has none. */
  instanceId: unknown;
  /** When chef-client last ran there. */
  ohaiTime: Date | undefined;
}

/** A dying host may still finish a chef-client run, and its clock may be off by as much as the Chef server allows. */
const ALIVE_SLACK_MS = 15 * 60_000;

/**
 * Whether a node is the one the event speaks of, and as dead as it says. Asked right before each destructive call.
 * @param attribute path of the node attribute that holds the instance id
 * @throws AppError `contradiction`
 */
export function checkDeath(death: Death, seen: SeenNode, attribute: string): void {
  const { node, instanceId, publishedAt } = death;
  if (instanceId === null) checkSameHost(death, seen);
  if (instanceId !== null && seen.instanceId !== instanceId) {
    const has =
      seen.instanceId === undefined
        ? `has no ${attribute} (is CHEF_INSTANCE_ATTRIBUTE right?)`
        : `is instance ${JSON.stringify(seen.instanceId)}`;
    throw new AppError(
      'contradiction',
      `the event says that instance ${instanceId} ended, but Chef node ${node} ${has}`,
    );
  }
  if (seen.ohaiTime && seen.ohaiTime.getTime() > publishedAt.getTime() + ALIVE_SLACK_MS) {
    throw new AppError(
      'contradiction',
      `the event is of ${publishedAt.toISOString()}, but chef-client ran on node ${node} at ${seen.ohaiTime.toISOString()}: it lives, or its name was used again`,
    );
  }
}

/** The name alone says little of a node that changed meanwhile: it must be of the host that it was found to be. */
function checkSameHost({ node, foundInstance, goneAt }: Death, { instanceId, ohaiTime }: SeenNode): void {
  if (foundInstance !== undefined && instanceId !== foundInstance) {
    throw new AppError(
      'contradiction',
      `node ${node} was instance ${foundInstance} when it was found, and now is ${JSON.stringify(instanceId) ?? 'none'}: its name was used again`,
    );
  }
  // What a dying chef-client saves it has read before its node was deleted.
  if (goneAt && !(ohaiTime && ohaiTime <= goneAt)) {
    const ran = ohaiTime ? `that ran at ${ohaiTime.toISOString()}` : 'whose time is not known';
    throw new AppError(
      'contradiction',
      `node ${node} was deleted at ${goneAt.toISOString()} and saved again by a chef-client ${ran}: it lives, or its name was used again`,
    );
  }
}

/** States from which an instance does not come back. Source: EC2 User Guide, Amazon EC2 instance state changes */
const ENDED: readonly (string | undefined)[] = ['shutting-down', 'terminated', undefined];

/** Whether an instance of this state has ended for good; undefined where EC2 has no such instance. */
export function hasEnded(state: string | undefined): boolean {
  return ENDED.includes(state);
}

/**
 * @param state what EC2 shows; undefined where it has no such instance
 * @throws AppError `contradiction` for one that lives or may live again
 */
export function checkEnded(instanceId: string, state: string | undefined): void {
  if (hasEnded(state)) return;
  throw new AppError(
    'contradiction',
    `the event says that instance ${instanceId} ended, but EC2 says ${instanceId} is ${state}`,
  );
}

/** @param patterns globs: `*`, `?`, `[abc]`. @throws AppError `contradiction` for a node that must never be deleted */
export function checkProtected(node: string, patterns: readonly string[]): void {
  const pattern = patterns.find(glob => globToRegExp(glob).test(node));
  if (pattern === undefined) return;
  throw new AppError('contradiction', `node ${node} is protected by PROTECTED_NODES (${pattern})`);
}

function globToRegExp(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`);
}
