import type { Logger } from 'pino';
import type { Event, InboundEvent } from '../domain/event.ts';
import { decide } from '../domain/policy.ts';
import type { Dispatcher } from '../jobs/outbox.ts';
import type { JobStore, RemovedFromQuarantine } from '../jobs/store.ts';
import type { VerifyHost } from './host/verify.ts';

/** What became of a message: the body of every positive answer to SNS. */
export type Receipt =
  | { outcome: 'accepted' | 'duplicate' | 'quarantined'; jobId: string }
  | { outcome: 'ignored' | 'confirmed' };

/** A delivery whose message may be none of ours. */
export type InboundMessage = Omit<InboundEvent, 'event'> & { event: Event | undefined };

export type Receive = (delivery: InboundMessage) => Promise<Receipt>;

/** Takes in every event, whichever way it came: decide, check the host's signature, keep, hand on. Resolves once Redis has the job. */
export function createReceive(
  store: JobStore,
  dispatcher: Dispatcher,
  verifyHost: VerifyHost,
  log: Logger,
  onQuarantineFull: (removed: RemovedFromQuarantine[]) => void,
): Receive {
  return async ({ event, ...delivery }) => {
    const about = {
      source: delivery.source,
      place: delivery.place,
      messageId: delivery.messageId,
      event: event?.kind ?? 'unknown',
      notice: event && 'notice' in event ? event.notice : undefined,
      doubt: event && 'doubt' in event ? event.doubt : undefined,
      node: event && 'node' in event ? event.node : undefined,
      instanceId: event?.instanceId,
      requestedBy: delivery.requestedBy,
      // Malformed optional fields, which the event is read without.
      dropped: event && 'dropped' in event ? event.dropped : undefined,
    };
    const kind = event ? decide(event) : 'ignore';
    if (!event || kind === 'ignore') {
      log.info(about, 'event ignored');
      return { outcome: 'ignored' };
    }
    if (about.doubt) log.warn(about, 'AWS sent a value that this release does not know; AWS is asked first');
    const verdict = delivery.quarantine ? {} : await verifyHost(event, delivery);
    const inbound = { ...delivery, ...verdict, event };
    const { jobId, outcome, tokens, removed } = await store.accept(inbound, kind);
    dispatcher.dispatch(tokens);
    for (const each of removed) log.warn(each, 'quarantine is full: removed its oldest job');
    if (removed.length > 0) onQuarantineFull(removed);
    if (inbound.quarantine && outcome === 'accepted') {
      const { code, message } = inbound.quarantine;
      log.warn({ ...about, kind, job: jobId, code, why: message }, 'event quarantined: a person must decide');
      return { outcome: 'quarantined', jobId };
    }
    log.info({ ...about, kind, job: jobId }, `event ${outcome}`);
    return { outcome, jobId };
  };
}
