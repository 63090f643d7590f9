import type { AutoScalingClient, LifecycleResult, WaitingInstance } from '../../clients/autoscaling.ts';
import type { LifecycleAction } from '../../event.ts';
import { isOurHook } from '../../glob.ts';
import type { JobRecord } from '../record.ts';
import type { Step } from '../run.ts';

export interface LifecycleDependencies {
  autoScaling: AutoScalingClient;
  /** Either lets the instance end; ABANDON also skips the group's other hooks. */
  lifecycleResult: LifecycleResult;
  /** Globs of HOOK or GROUP/HOOK: the hooks that this service completes. */
  lifecycleHooks: readonly string[];
}

/**
 * Lets the instance go on to its end, also if Chef never had it: else it would wait until the hook's time is up. Hooks of
 * others are left alone, since completing one cuts their work short.
 */
export function completeLifecycleStep(dependencies: LifecycleDependencies): Step {
  return async job => {
    const completed = new Set(job.facts.completed);
    const waiting = waitingInstances(job).filter(instance => !completed.has(keyOf(instance)));
    if (waiting.length === 0) return { state: 'skipped', note: 'no instance waits' };
    const outcomes = await Promise.all(
      waiting.map(async instance => ({ instance, ...(await settle(instance, dependencies)) })),
    );
    const settled = outcomes.filter(({ failed }) => !failed).map(({ instance }) => keyOf(instance));
    return {
      state: settled.length < outcomes.length ? 'failed' : 'done',
      note: outcomes.map(({ note }) => note).join('; '),
      facts: { completed: [...completed, ...settled] },
    };
  };
}

type Waiting = WaitingInstance & Pick<LifecycleAction, 'claimed'>;

async function settle(
  instance: Waiting,
  { autoScaling, lifecycleResult, lifecycleHooks }: LifecycleDependencies,
): Promise<{ note: string; failed?: true }> {
  const { hook, group, claimed } = instance;
  if (!isOurHook(lifecycleHooks, instance)) {
    return { note: `hook ${hook} of ${group} is not in LIFECYCLE_HOOKS: left alone` };
  }
  if (claimed) {
    // Anyone who may publish could name another tool's hook.
    const { state, group: actual } = await autoScaling.instanceState(instance.instanceId, instance.region);
    if (actual !== group || !/^(Warmed:)?Terminating/.test(state ?? '')) {
      return { note: `hook ${hook} of ${group}: Auto Scaling does not say that the instance waits there` };
    }
  }
  const outcome = await autoScaling.completeLifecycleAction(instance, lifecycleResult);
  return outcome === 'completed'
    ? { note: `${lifecycleResult} for hook ${hook} of ${group}` }
    : { note: `hook ${hook} of ${group} does not wait any more` };
}

/** Makes the instance wait on while the job takes long. */
export function lifecycleHeartbeat({
  autoScaling,
  lifecycleHooks,
}: LifecycleDependencies): (job: JobRecord) => Promise<void> {
  return async job => {
    const ours = waitingInstances(job).filter(instance => isOurHook(lifecycleHooks, instance));
    await Promise.all(ours.map(instance => autoScaling.recordHeartbeat(instance)));
  };
}

function waitingInstances({ lifecycles, instanceId }: JobRecord): Waiting[] {
  return instanceId === null ? [] : lifecycles.map(lifecycle => ({ ...lifecycle, instanceId }));
}

function keyOf({ group, hook, token = '', region = '' }: Waiting): string {
  return [region, group, hook, token].join('/');
}
