import { AppError } from './errors.ts';

export interface Claim {
  node: string;
  /** The instance that ended; absent where the event names only the node. */
  instanceId: string | null;
}

/**
 * Whether a node is the one the event speaks of. Asked right before each destructive call, with the node as the Chef
 * server has it then.
 * @param actual value of the node's instance attribute
 * @throws AppError `contradiction`
 */
export function checkInstance(claim: Claim, actual: unknown, attribute: string): void {
  if (claim.instanceId === null || actual === claim.instanceId) return;
  const has = actual === undefined ? `has no ${attribute}` : `is instance ${JSON.stringify(actual)}`;
  const hint = actual === undefined ? ' (is CHEF_INSTANCE_ATTRIBUTE right?)' : '';
  throw new AppError(
    'contradiction',
    `the event says that instance ${claim.instanceId} ended, but Chef node ${claim.node} ${has}${hint}`,
  );
}
