import { AppError } from '../domain/errors.ts';
import type { InboundEvent } from '../domain/event.ts';
import { decide } from '../domain/policy.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Receive } from './receive.ts';
import type { VerifySns } from './sns/verify.ts';

type Instruments = Pick<Metrics, 'events' | 'doubtful' | 'lag'>;

/** The same `receive`, which counts every event. */
export function countedReceive(receive: Receive, { events, doubtful, lag }: Instruments): Receive {
  return async delivery => {
    const { source, event, publishedAt } = delivery;
    const kind = event ? decide(event) : 'unknown';
    if (event && 'doubt' in event) doubtful.inc({ source });
    try {
      const receipt = await receive(delivery);
      events.inc({ source, kind, outcome: receipt.outcome });
      lag.observe({ source }, Math.max(0, (Date.now() - publishedAt.getTime()) / 1000));
      return receipt;
    } catch (error) {
      events.inc({ source, kind, outcome: 'not_taken' });
      throw error;
    }
  };
}

/** The same verifier; counts the messages that it refuses. The others are counted by `countedReceive`. */
export function countedVerify(
  verify: VerifySns,
  source: InboundEvent['source'],
  { events }: Pick<Instruments, 'events'>,
): VerifySns {
  return async body => {
    try {
      return await verify(body);
    } catch (error) {
      const later = error instanceof AppError && error.code === 'unavailable';
      events.inc({ source, kind: 'unknown', outcome: later ? 'not_taken' : 'refused' });
      throw error;
    }
  };
}
