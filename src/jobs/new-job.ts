import { createHash, randomUUIDv7 } from 'node:crypto';
import type { Event, InboundEvent } from '../domain/event.ts';
import { evidenceOf } from '../domain/evidence.ts';
import type { JobKind, JobState } from '../domain/job.ts';

/** What accept.lua gets of one event: what decides whether it is a new job, and the record that job then gets. */
export interface NewJob {
  /** JSON. */
  head: string;
  /** Field, value, … */
  record: string[];
}

export function buildNewJob(inbound: InboundEvent, kind: JobKind): NewJob {
  const { event, quarantine, source, messageId } = inbound;
  const instanceId = event.instanceId;
  const node = 'node' in event ? event.node : undefined;
  const evidence = evidenceOf(inbound);
  const lifecycle = 'lifecycle' in event ? event.lifecycle : undefined;
  const head = {
    id: randomUUIDv7(),
    kind,
    identities: quarantine ? [ownIdentity(inbound)] : identitiesOf(inbound, kind),
    doubted: quarantine ? identitiesOf(inbound, kind) : undefined,
    evidence,
    receivedAt: new Date().toISOString(),
    state: (quarantine ? 'held' : 'queued') satisfies JobState,
    keys: [...(instanceId ? [`i:${instanceId}`] : []), ...(node ? [`n:${node}`] : [])],
    node,
    instanceId,
    lifecycle: lifecycle && { ...lifecycle, ...(evidence.from === 'claim' && { claimed: true }) },
    ...(source === 'api' && { request: { id: messageId, body: digest(event) } }),
  };
  const record = fields({
    source,
    event: JSON.stringify(event),
    node,
    instanceId,
    requestedBy: inbound.requestedBy,
    trace: inbound.trace,
    error: quarantine && JSON.stringify({ code: quarantine.code, message: quarantine.message }),
    reasons: quarantine && JSON.stringify([quarantine]),
  });
  return { head: JSON.stringify(head), record };
}

/**
 * One termination is one job, whoever announces it: its identity is the instance id. What names a node as well has a
 * second identity, so that a claim about the wrong node, which gives up the first one, is still known when it is repeated.
 */
function identitiesOf(inbound: InboundEvent, kind: JobKind): string[] {
  const { event } = inbound;
  if (kind === 'ensure' || !event.instanceId) return [ownIdentity(inbound)];
  const identity = `${kind}:${event.instanceId}`;
  return 'node' in event ? [identity, `${identity}@${event.node}`] : [identity];
}

/** The sender of a message may choose its id, so that it must not look like the id of a person's request. */
function ownIdentity({ source, messageId }: InboundEvent): string {
  return `${source === 'api' ? 'request' : 'message'}:${messageId}`;
}

/** The same for the same event, in whatever order its fields were given. */
function digest(event: Event): string {
  return createHash('sha256')
    .update(JSON.stringify(event, Object.keys(event).sort()))
    .digest('base64');
}

/** As HSET takes them. */
export function fields(values: Record<string, string | undefined>): string[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
}
