import type { Steps } from '../run-steps.ts';
import { alertStep } from './alert.ts';
import { archiveStep } from './archive.ts';
import { confirmDowntimeStep, downtimeStep } from './downtime.ts';
import { findStep } from './find.ts';
import { guardStep } from './guard.ts';
import { completeLifecycleStep } from './lifecycle.ts';
import { deleteClientStep, deleteNodeStep, verifyStep } from './remove.ts';
import { recreateClientStep, recreateNodeStep } from './restore.ts';
import { cancelDowntimeStep } from './restore-downtime.ts';
import { findLostStep } from './restore-find.ts';

type StepDependencies = Parameters<typeof archiveStep>[0] &
  Parameters<typeof downtimeStep>[0] &
  Parameters<typeof completeLifecycleStep>[0] &
  Parameters<typeof findStep>[0] &
  Parameters<typeof guardStep>[0] &
  Parameters<typeof alertStep>[0] &
  Parameters<typeof findLostStep>[0] &
  Parameters<typeof recreateNodeStep>[0] &
  Parameters<typeof cancelDowntimeStep>[0] &
  Parameters<typeof deleteNodeStep>[0];

/** What each step of a plan does. A step that a kind of job needs does not compile until it is here. */
export function createSteps(dependencies: StepDependencies): Steps {
  const find = findStep(dependencies);
  const findLost = findLostStep(dependencies);
  return {
    find: (job, context) => (job.kind === 'ensure' ? findLost : find)(job, context),
    guard: guardStep(dependencies),
    downtime: downtimeStep(dependencies),
    archive: archiveStep(dependencies),
    'delete-client': deleteClientStep(dependencies),
    'delete-node': deleteNodeStep(dependencies),
    verify: verifyStep(dependencies),
    'complete-lifecycle': completeLifecycleStep(dependencies),
    'confirm-downtime': confirmDowntimeStep(dependencies),
    alert: alertStep(dependencies),
    'recreate-client': recreateClientStep(dependencies),
    'recreate-node': recreateNodeStep(dependencies),
    'cancel-downtime': cancelDowntimeStep(dependencies),
  };
}
