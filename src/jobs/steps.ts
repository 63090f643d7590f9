import type { Steps } from './run.ts';
import { archiveStep } from './steps/archive.ts';
import { confirmDowntimeStep, downtimeStep } from './steps/downtime.ts';
import { findStep } from './steps/find.ts';
import { completeLifecycleStep } from './steps/lifecycle.ts';
import { deleteClientStep, deleteNodeStep, verifyStep } from './steps/remove.ts';

type StepDependencies = Parameters<typeof archiveStep>[0] &
  Parameters<typeof downtimeStep>[0] &
  Parameters<typeof completeLifecycleStep>[0] &
  Parameters<typeof findStep>[0] &
  Parameters<typeof deleteNodeStep>[0];

/** What each step of a plan does. A step that a kind of job needs does not compile until it is here. */
export function createSteps(dependencies: StepDependencies): Steps {
  return {
    find: findStep(dependencies),
    downtime: downtimeStep(dependencies),
    archive: archiveStep(dependencies),
    'delete-client': deleteClientStep(dependencies),
    'delete-node': deleteNodeStep(dependencies),
    verify: verifyStep(dependencies),
    'complete-lifecycle': completeLifecycleStep(dependencies),
    'confirm-downtime': confirmDowntimeStep(dependencies),
  };
}
