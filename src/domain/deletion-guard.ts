import { AppError, type HoldCode, type Reason } from './errors.ts';
import { globToRegExp } from './glob.ts';
import type { Approval, Machine } from './job.ts';

/** What is said about a node, as far as it must be true before the node is deleted. */
export interface Termination {
  node: string;
  /** The instance that ended; null if only the node was named. */
  instanceId: string | null;
  /** When that was said. */
  saidAt: Date;
  /** Whether the host itself says so, whose own node need not say which instance it is. */
  saidByHost?: boolean;
  /** The instance that the node was when it was found. */
  foundInstance?: string | undefined;
  /** For a node that is there again: when it was deleted. */
  goneAt?: Date | undefined;
  /** The keys of which the client must have one: those with which the host signed. */
  signedWith?: readonly string[] | undefined;
  /** The keys that the client had when the job was checked; undefined before that. */
  checkedKeys?: readonly string[] | undefined;
}

/** The node as the Chef server has it now. */
export interface SeenNode {
  /** Value of the node attribute that holds the instance id; undefined if it has none. */
  instanceId: unknown;
  /** When chef-client last ran there. */
  ohaiTime: Date | undefined;
}

/** The client as the Chef server has it now. */
export interface SeenClient {
  validator: boolean;
  /** Of all its keys, sorted. */
  fingerprints: readonly string[];
}

/** A host that shuts down may still finish a chef-client run, and its clock may be off by as much as the Chef server allows. */
const ALIVE_SLACK_MS = 15 * 60_000;

/**
 * Why this node may not be the one that ended, or not have ended.
 * @param attribute path of the node attribute that holds the instance id
 */
export function reasonsAgainstNode(said: Termination, seen: SeenNode, attribute: string): Reason[] {
  return [...sameInstance(said, seen, attribute), ...notSeenSince(said, seen)];
}

function sameInstance(said: Termination, seen: SeenNode, attribute: string): Reason[] {
  const { node, instanceId, foundInstance, saidByHost } = said;
  const is = `is instance ${JSON.stringify(seen.instanceId) ?? 'none'}`;
  if (instanceId === null) {
    if (foundInstance === undefined || seen.instanceId === foundInstance) return [];
    const what = `node ${node} was instance ${foundInstance} when it was found, and now ${is}: its name was used again`;
    return [{ code: 'other-instance', message: what }];
  }
  if (seen.instanceId === instanceId || (seen.instanceId === undefined && saidByHost)) return [];
  const event = `the event says that instance ${instanceId} ended, but Chef node ${node}`;
  return seen.instanceId === undefined
    ? [
        {
          code: 'no-instance-id',
          message: `${event} has no ${attribute} (is CHEF_INSTANCE_ATTRIBUTE right?)`,
        },
      ]
    : [{ code: 'other-instance', message: `${event} ${is}` }];
}

function notSeenSince({ node, instanceId, saidAt, goneAt }: Termination, { ohaiTime }: SeenNode): Reason[] {
  const alive = (message: string): Reason[] => [{ code: 'alive', message, by: 'chef-client' }];
  // What a last chef-client run saves it has read before its node was deleted.
  if (instanceId === null && goneAt && !(ohaiTime && ohaiTime <= goneAt)) {
    const ran = ohaiTime ? `that ran at ${ohaiTime.toISOString()}` : 'whose time is not known';
    return alive(
      `node ${node} was deleted at ${goneAt.toISOString()} and saved again by a chef-client ${ran}: it lives, or its name was used again`,
    );
  }
  if (!ohaiTime || ohaiTime.getTime() <= saidAt.getTime() + ALIVE_SLACK_MS) return [];
  return alive(
    `the event is of ${saidAt.toISOString()}, but chef-client ran on node ${node} at ${ohaiTime.toISOString()}: it lives, or its name was used again`,
  );
}

/** Why this client may not be the one of the machine that ended. @param hasNode whether there is a node of its name */
export function reasonsAgainstClient(said: Termination, seen: SeenClient, hasNode: boolean): Reason[] {
  const { node, instanceId, signedWith, checkedKeys } = said;
  const other = (why: string): Reason[] => [
    {
      code: 'other-key',
      message: `Chef client ${node} ${why}: is it a new machine of this name? It was left alone`,
    },
  ];
  if (signedWith && !signedWith.some(key => seen.fingerprints.includes(key))) {
    return other('has not the key with which the host signed its message');
  }
  if (checkedKeys && !sameKeys(checkedKeys, seen.fingerprints)) {
    return other('was made again: it has other keys than when the job was checked');
  }
  if (hasNode || instanceId === null || signedWith || checkedKeys) return [];
  return [
    {
      code: 'client-alone',
      message: `Chef has a client ${node} and no node, so nothing says that the client is instance ${instanceId}: is it a machine that is about to save its node? It was left alone`,
    },
  ];
}

function sameKeys(some: readonly string[], others: readonly string[]): boolean {
  return some.toSorted().join('\n') === others.toSorted().join('\n');
}

/** @param patterns globs: `*`, `?`, `[abc]` */
export function reasonsOfProtection(node: string, patterns: readonly string[]): Reason[] {
  const pattern = patterns.find(glob => globToRegExp(glob).test(node));
  if (pattern === undefined) return [];
  return [{ code: 'protected', message: `node ${node} is protected by PROTECTED_NODES (${pattern})` }];
}

/**
 * Two kinds of clients are never deleted, nor a node of their name: the service's own, and validators, with which new
 * hosts register.
 * @throws AppError `never-deleted`
 */
export function refuseNeverDeleted(node: string, client: SeenClient | undefined, ownClient: string): void {
  const never = (why: string) =>
    new AppError(
      'never-deleted',
      `${node} is ${why}: it is never deleted; correct the source of the request`,
    );
  if (node === ownClient) throw never("this service's own Chef client (CHEF_CLIENT_NAME)");
  if (client?.validator) throw never('a validator client, with which new hosts register');
}

/** The machine of that name, as it is shown to the person who decides. */
export function machineOf(node: SeenNode | undefined, client: SeenClient | undefined): Machine {
  const instanceId = node?.instanceId;
  return {
    ...(typeof instanceId === 'string' && { instanceId }),
    ...(node?.ohaiTime && { ohaiTime: node.ohaiTime.toISOString() }),
    ...(client && { clientKeys: [...client.fingerprints] }),
  };
}

/**
 * The reasons that nobody approved for this very machine. What is gone already of the machine that was shown does not
 * make it another one.
 */
export function notApproved(
  reasons: readonly Reason[],
  approval: Approval | undefined,
  node: SeenNode | undefined,
  client: SeenClient | undefined,
): Reason[] {
  const { reasons: approved = [], machine } = approval ?? {};
  const seen = machineOf(node, client);
  const same =
    !machine ||
    ((!node || (seen.instanceId === machine.instanceId && seen.ohaiTime === machine.ohaiTime)) &&
      (!client || sameKeys(seen.clientKeys ?? [], machine.clientKeys ?? [])));
  return reasons.filter(
    ({ code, by }) => !(same && approved.some(each => each.code === code && each.by === by)),
  );
}

/** Whether a person approved this, whatever machine it was shown for. */
export function isApproved(approval: Approval | undefined, code: HoldCode): boolean {
  return approval?.reasons.some(reason => reason.code === code) ?? false;
}

/**
 * Holds the job for all that speaks against it. The first that nobody approved comes first: it is what a person decides
 * about next.
 * @throws AppError with its code
 */
export function holdFor(reasons: readonly Reason[], open: readonly Reason[]): void {
  const [first] = open;
  if (!first) return;
  const others = open.length - 1;
  const more = others > 0 ? ` (and ${others} more ${others === 1 ? 'reason' : 'reasons'})` : '';
  throw new AppError(first.code, first.message + more, {
    reasons: [first, ...reasons.filter(reason => reason !== first)],
  });
}
