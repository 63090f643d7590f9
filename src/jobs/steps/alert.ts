import type { Raise } from '../../alerts/alerts.ts';
import { alert } from '../../domain/alert.ts';
import type { Step } from '../run-steps.ts';

/** Alerts people first: a node that is asked back was hit by a deletion. */
export function alertStep({ raise }: { raise: Raise }): Step {
  return async job => {
    const reason = 'reason' in job.event && job.event.reason ? `: ${job.event.reason}` : '';
    const who = job.requestedBy ?? (job.event.kind === 'registration' ? 'the host itself' : job.source);
    raise(
      alert('ensure-requested', `${who} asks that node ${job.node} be there${reason}`, {
        ...job,
        job: job.id,
      }),
    );
    return { state: 'done' };
  };
}
