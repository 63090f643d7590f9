import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { AppError } from '../../../src/domain/errors.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import {
  LockLostError,
  type RunDependencies,
  runSteps,
  type StepContext,
  type Steps,
} from '../../../src/jobs/run-steps.ts';

const LOCK_MS = 10_000;

/** Runs one step of a job. @returns whether its request was sent, and the error that ended the job */
async function change(
  readAt: number,
  mayChange: unknown = 'allowed',
): Promise<{ sent: boolean; error: unknown; stamped: number }> {
  let sent = false;
  let stamped = 0;
  const act = async (context: StepContext) => {
    await context.changeChef(async beforeSend => {
      beforeSend();
      sent = true;
    }, readAt);
    return { state: 'done' as const };
  };
  const steps = new Proxy({} as Steps, {
    get: () => (_job: JobRecord, context: StepContext) => act(context),
  });
  const job = {
    ...{
      id: 'j',
      kind: 'downtime',
      node: 'web-1',
      steps: [],
      facts: {},
      lifecycles: [],
      saidAt: new Date(0),
    },
    evidence: [],
  } as unknown as JobRecord;
  const dependencies = {
    steps,
    store: { mayChange: async () => mayChange, recordStep: async () => true },
    log: pino({ level: 'silent' }),
    lock: { key: 'k', value: 'v', ms: LOCK_MS },
    stamp: async () => void stamped++,
  } as unknown as RunDependencies;
  const error = await runSteps(job, dependencies).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { sent, error, stamped };
}

test('a change is sent if what it was decided by was just read', async () => {
  expect(await change(performance.now())).toMatchObject({ sent: true, error: undefined });
});

test('a worker that was paused since it read sends nothing, and reads again at once', async () => {
  const { sent, error } = await change(performance.now() - LOCK_MS);
  expect(sent).toBe(false);
  expect(error).toMatchObject({ code: 'conflict', retryAfterMs: 0 });
});

test('a worker whose lock another worker has sends nothing', async () => {
  const { sent, error } = await change(performance.now(), 'lost');
  expect(sent).toBe(false);
  expect(error).toBeInstanceOf(LockLostError);
});

test('a change is not sent if an ensure was said after the deletion', async () => {
  const { sent, error } = await change(performance.now(), { ensured: Date.now(), restored: 0 });
  expect(sent).toBe(false);
  expect((error as AppError).code).toBe('overruled');
});
