import { instanceId } from '../../test/support/termination.ts';

/** A host that ended: its node, its client and its Nagios host have one name. */
export interface Termination {
  node: string;
  instanceId: string;
}

let made = 0;

/** Hosts that no other batch has. */
export function newTerminations(count: number): Termination[] {
  return Array.from({ length: count }, () => {
    made += 1;
    return { node: `host-${made}.example.com`, instanceId: instanceId(made) };
  });
}
