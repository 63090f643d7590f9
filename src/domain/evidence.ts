import type { InboundFacts } from './event.ts';

/**
 * Who says what an event says, and how far that is trusted:
 * - `aws`: AWS, through a place to which only AWS writes
 * - `person`: somebody with a token; `approver`: somebody who approved a quarantined message
 * - `host`: the host itself, for its own node
 * - `claim`: a message in AWS's form from a place where hosts may write, or one whose values this release does not know;
 *   nothing is done for it until EC2 or Auto Scaling confirms it
 */
export type Speaker = 'aws' | 'person' | 'approver' | 'host' | 'claim';

/** What one speaker said about a termination. */
export interface Evidence {
  from: Speaker;
  rank: number;
  /** Milliseconds since 1970. */
  saidAt: number;
  /** Chef node that it names. */
  node?: string;
  /** Name by which it says that Nagios knows the node. */
  nagiosHost?: string;
  /** Fingerprint of the key that signed a host's message. */
  key?: string;
  /** Who asked, for a person. */
  by?: string;
}

/** From 2 on it is trusted without confirmation; a higher rank is better founded. */
const RANK: Record<Speaker, number> = { aws: 3, person: 3, approver: 3, host: 2, claim: 1 };

export function evidenceOf(inbound: InboundFacts): Evidence {
  const { event, saidAt, signedBy, requestedBy } = inbound;
  const from = speakerOf(inbound);
  const node = 'node' in event ? event.node : undefined;
  const nagiosHost = 'nagiosHost' in event ? event.nagiosHost : undefined;
  return {
    from,
    rank: RANK[from],
    saidAt: saidAt.getTime(),
    ...(node !== undefined && { node }),
    ...(nagiosHost !== undefined && { nagiosHost }),
    ...(from === 'host' && signedBy !== undefined && { key: signedBy }),
    ...(from === 'person' && requestedBy !== undefined && { by: requestedBy }),
  };
}

function speakerOf({ event, place, quarantine }: InboundFacts): Speaker {
  if (quarantine) return 'approver';
  switch (event.kind) {
    case 'request':
      return 'person';
    case 'registration':
      return 'host';
    default:
      return place === 'aws' && !('doubt' in event && event.doubt) ? 'aws' : 'claim';
  }
}

type Known = { evidence: readonly Evidence[] };

export function isSaidBy({ evidence }: Known, ...speakers: Speaker[]): boolean {
  return evidence.some(({ from }) => speakers.includes(from));
}

/** Whether nobody who is trusted has said it. */
export function isOnlyClaimed({ evidence }: Known): boolean {
  return evidence.every(({ from }) => from === 'claim');
}

/** The Chef node that the evidence names, the best founded and latest first. */
export function namedNode({ evidence }: Known): string | undefined {
  return bestFirst(evidence.filter(({ node }) => node !== undefined))[0]?.node;
}

/** What names a Nagios host for this Chef node, the best founded and latest first. */
export function nagiosHostsNamed(
  { evidence }: Known,
  node: string | null,
): { name: string; from: Speaker }[] {
  return bestFirst(evidence.filter(each => each.node === node)).flatMap(({ nagiosHost: name, from }) =>
    name === undefined ? [] : [{ name, from }],
  );
}

function bestFirst(evidence: readonly Evidence[]): Evidence[] {
  return evidence.toSorted((one, other) => other.rank - one.rank || other.saidAt - one.saidAt);
}

/** Fingerprints of the keys with which the host signed, if the host is the only trusted speaker. */
export function signingKeys(known: Known): string[] | undefined {
  if (isSaidBy(known, 'aws', 'person', 'approver')) return undefined;
  const keys = known.evidence.flatMap(({ from, key }) => (from === 'host' && key ? [key] : []));
  return keys.length > 0 ? keys : undefined;
}
