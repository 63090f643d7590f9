import { expect, test } from 'vitest';
import type { LifecycleAction } from '../../../../src/domain/event.ts';
import type { JobRecord } from '../../../../src/jobs/record.ts';
import type { StepContext, StepResult } from '../../../../src/jobs/run-steps.ts';
import { completeLifecycleStep } from '../../../../src/jobs/steps/lifecycle.ts';

const ACTION = { group: 'web', hook: 'deregister', token: 't', region: 'eu-west-1' };

/** @returns what the step says, and the hooks that were completed */
async function complete(
  action: Partial<LifecycleAction>,
  { state, group = 'web', hooks = ['*'] }: { state?: string; group?: string; hooks?: string[] } = {},
): Promise<{ result: StepResult; completed: string[] }> {
  const completed: string[] = [];
  const step = completeLifecycleStep({
    autoScaling: {
      instanceState: async () => ({ state, group }),
      completeLifecycleAction: async ({ hook }: { hook: string }) => {
        completed.push(hook);
        return 'completed';
      },
    },
    lifecycleResult: 'CONTINUE',
    lifecycleHooks: hooks,
  } as unknown as Parameters<typeof completeLifecycleStep>[0]);
  const job = {
    ...{ id: 'j', kind: 'delete', instanceId: 'i-0a1b2c3d4e5f60718', attempts: 1, facts: {} },
    lifecycles: [{ ...ACTION, ...action }],
  } as unknown as JobRecord;
  return { result: await step(job, {} as StepContext), completed };
}

test.each([
  ['the instance is in service', { state: 'InService' }],
  ['Auto Scaling does not know the instance', {}],
  ['the instance ends in another group', { state: 'Terminating:Wait', group: 'other' }],
])('a hook that only a claim names is left alone if %s', async (_, said) => {
  const { result, completed } = await complete({ claimed: true }, said);
  expect(completed).toEqual([]);
  expect(result.note).toContain('does not say that the instance waits there');
});

test('a hook that only a claim names is completed if Auto Scaling says that the instance waits there', async () => {
  expect((await complete({ claimed: true }, { state: 'Terminating:Wait' })).completed).toEqual([
    'deregister',
  ]);
});

test('a hook that AWS announced is completed without a question', async () => {
  expect((await complete({})).completed).toEqual(['deregister']);
});

test('a hook that is not in LIFECYCLE_HOOKS is left alone, whoever announced it', async () => {
  const { result, completed } = await complete({}, { hooks: ['web/other', 'drain-*'] });
  expect(completed).toEqual([]);
  expect(result.note).toContain('left alone');
});
