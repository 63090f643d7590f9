import type { AutoScalingClient, LifecycleResult } from '../../clients/aws/autoscaling.ts';
import type { Ec2Client } from '../../clients/aws/ec2.ts';
import { AppError } from '../../domain/errors.ts';
import type { LifecycleAction } from '../../domain/event.ts';
import { isOurHook } from '../../domain/glob.ts';
import { instanceEnd } from '../../domain/instance-end.ts';
import { actionKey, pendingActions } from '../pending-actions.ts';
import type { JobRecord } from '../record.ts';
import type { Step } from '../run-steps.ts';
import { whyGone } from './gone-action.ts';

export interface LifecycleDependencies {
  autoScaling: AutoScalingClient;
  ec2: Pick<Ec2Client, 'instanceState'>;
  /** Either lets the instance end; ABANDON also skips the group's other hooks. */
  lifecycleResult: LifecycleResult;
  /** Globs of HOOK or GROUP/HOOK: the hooks that this service completes. */
  lifecycleHooks: readonly string[];
}

/** Auto Scaling may not find an action for some seconds after it announced it. */
const MOST_ATTEMPTS = 4;
const RETRY_MS = 5_000;

/**
 * Lets the instance go on to its end, also if Chef never had it: else it would wait until the hook's time is up. Hooks of
 * others are left alone, since completing one cuts their work short.
 */
export function completeLifecycleStep(dependencies: LifecycleDependencies): Step {
  return async job => {
    const waiting = waitingInstances(job, pendingActions(job));
    if (waiting.length === 0) return { state: 'skipped', note: 'no instance waits' };
    const outcomes = await Promise.all(
      waiting.map(async instance => ({ instance, ...(await settle(instance, job, dependencies)) })),
    );
    const settled = outcomes.filter(({ failed }) => !failed).map(({ instance }) => actionKey(instance));
    return {
      state: settled.length < outcomes.length ? 'failed' : 'done',
      note: outcomes.map(({ note }) => note).join('; '),
      facts: { completed: [...(job.facts.completed ?? []), ...settled] },
    };
  };
}

type Waiting = LifecycleAction & { instanceId: string };

async function settle(
  instance: Waiting,
  job: JobRecord,
  dependencies: LifecycleDependencies,
): Promise<{ note: string; failed?: true }> {
  const { autoScaling, lifecycleResult, lifecycleHooks } = dependencies;
  const { hook, group, claimed, region } = instance;
  if (!isOurHook(lifecycleHooks, instance)) {
    return { note: `hook ${hook} of ${group} is not in LIFECYCLE_HOOKS: left alone` };
  }
  if (claimed) {
    // Anyone who may publish could name another tool's hook.
    const says = await autoScaling.instanceState(instance.instanceId, region);
    if (instanceEnd({ autoScaling: says, group, now: new Date() }).answer !== 'ending') {
      return { note: `hook ${hook} of ${group}: Auto Scaling does not say that the instance waits there` };
    }
  }
  const outcome = await autoScaling.completeLifecycleAction(instance, lifecycleResult);
  if (outcome === 'completed') return { note: `${lifecycleResult} for hook ${hook} of ${group}` };
  switch (await whyGone(instance, job.saidAt, dependencies)) {
    case 'over':
      return { note: `hook ${hook} of ${group} does not wait any more` };
    case 'waiting':
      if (job.attempts < MOST_ATTEMPTS) {
        const message = `Auto Scaling does not know the action of hook ${hook} of ${group} yet`;
        throw new AppError('conflict', message, { retryAfterMs: RETRY_MS });
      }
      return { note: `hook ${hook} of ${group} does not wait any more, but another hook of the group does` };
    case 'unknown-here':
      return {
        note: `in ${region ?? 'AWS_REGION'} neither Auto Scaling nor EC2 knows instance ${instance.instanceId}: is it the wrong region or account? Hook ${hook} of ${group} ends by its own time limit`,
        failed: true,
      };
  }
}

/** Makes the instance wait on while the job takes long. */
export function lifecycleHeartbeat({
  autoScaling,
  lifecycleHooks,
}: LifecycleDependencies): (job: JobRecord) => Promise<void> {
  return async job => {
    const ours = waitingInstances(job, job.lifecycles).filter(instance =>
      isOurHook(lifecycleHooks, instance),
    );
    await Promise.all(ours.map(instance => autoScaling.recordHeartbeat(instance)));
  };
}

function waitingInstances({ instanceId }: JobRecord, actions: readonly LifecycleAction[]): Waiting[] {
  return instanceId === null ? [] : actions.map(lifecycle => ({ ...lifecycle, instanceId }));
}
