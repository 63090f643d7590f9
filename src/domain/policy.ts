import type { Event } from './event.ts';
import type { JobKind } from './job.ts';

/** What an event makes us do. Only a confirmed end of an instance, or a word for that very host, deletes. */
export function decide(event: Event): JobKind | 'ignore' {
  switch (event.kind) {
    case 'registration':
    case 'request':
      return event.method;
    case 'instance-ended':
      return 'delete';
    case 'instance-ending':
      return 'downtime';
    case 'harmless':
      return 'ignore';
  }
}
