import type { AutoScalingClient, LifecycleResult, WaitingInstance } from '../../clients/autoscaling.ts';
import type { JobRecord } from '../record.ts';
import type { Step } from '../run.ts';

export interface LifecycleDependencies {
  autoScaling: AutoScalingClient;
  /** Either lets the instance end; ABANDON also skips the group's other hooks. */
  lifecycleResult: LifecycleResult;
}

/** Lets the instance go on to its end, also where Chef never had it: else it would wait until the hook's time is up. */
export function completeLifecycleStep({ autoScaling, lifecycleResult }: LifecycleDependencies): Step {
  return async job => {
    const instance = waitingInstance(job);
    if (!instance) return { state: 'skipped', note: 'no instance waits' };
    const outcome = await autoScaling.completeLifecycleAction(instance, lifecycleResult);
    const note =
      outcome === 'completed'
        ? `${lifecycleResult} for hook ${instance.hook} of ${instance.group}`
        : `hook ${instance.hook} of ${instance.group} does not wait any more`;
    return { state: 'done', note };
  };
}

/** Makes the instance wait on while the job takes long. */
export function lifecycleHeartbeat(autoScaling: AutoScalingClient): (job: JobRecord) => Promise<void> {
  return async job => {
    const instance = waitingInstance(job);
    if (instance) await autoScaling.recordHeartbeat(instance);
  };
}

function waitingInstance({ lifecycle, instanceId }: JobRecord): WaitingInstance | undefined {
  return lifecycle && instanceId !== null ? { ...lifecycle, instanceId } : undefined;
}
