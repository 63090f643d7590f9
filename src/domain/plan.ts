import type { JobKind, StepName } from './job.ts';

/**
 * The steps of each kind of job, in order; every one may be done again without harm.
 *
 * The client goes before the node: a chef-client that is just finishing can then no longer save its node, and a node
 * it saved in the last moment is found by `verify`. The proof of the downtime comes last, since Nagios shows one only
 * at its next status update; only if Nagios is required, the step `downtime` waits for it before anything is deleted.
 *
 * A restore makes the client before the node, since a node's ACL can name only clients that are there.
 */
const PLANS: Record<JobKind, readonly StepName[]> = {
  delete: [
    'find',
    'guard',
    'downtime',
    'archive',
    'delete-client',
    'delete-node',
    'verify',
    'complete-lifecycle',
    'confirm-downtime',
  ],
  downtime: ['find', 'guard', 'downtime', 'confirm-downtime'],
  ensure: ['alert', 'find', 'recreate-client', 'recreate-node', 'cancel-downtime'],
};

/** The steps of a job; `complete-lifecycle` only if an instance waits for it. */
export function plan({
  kind,
  lifecycles,
}: {
  kind: JobKind;
  lifecycles?: readonly unknown[];
}): readonly StepName[] {
  return PLANS[kind].filter(step => step !== 'complete-lifecycle' || (lifecycles?.length ?? 0) > 0);
}
