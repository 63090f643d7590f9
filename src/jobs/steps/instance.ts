import type { Ec2Client } from '../../clients/ec2.ts';
import { AppError, describe } from '../../errors.ts';
import { checkEnded } from '../../guard.ts';
import { isApproved } from '../../job.ts';
import type { JobRecord } from '../record.ts';
import type { StepContext } from '../run.ts';

export interface InstanceDependencies {
  /** undefined where EC2 is not to be asked. */
  ec2: Pick<Ec2Client, 'instanceState'> | undefined;
}

/** How long EC2 is asked before the job is held. */
const PATIENCE_MS = 120_000;
/** EC2 shows an instance that has just ended as running for a moment: its API is eventually consistent. */
const LAG_MS = 8_000;
const LOOK_AGAIN_MS = 2_000;

/**
 * Asks EC2 itself whether the job's instance ended. One that waits for its lifecycle action runs until the job
 * completes that, so it is not asked for.
 * @returns what EC2 said, for the job's record
 * @throws AppError `contradiction` where it lives, `unverified` where EC2 could not be asked for too long; before that,
 * the job is to be tried again
 */
export async function checkInstance(
  job: JobRecord,
  context: StepContext,
  { ec2 }: InstanceDependencies,
): Promise<string | undefined> {
  const { instanceId, facts } = job;
  if (!ec2 || instanceId === null || job.lifecycle) return undefined;
  if (isApproved(job, 'unverified') || isApproved(job, 'contradiction')) return undefined;
  const state = await ec2.instanceState(instanceId, facts.region).catch(async (error: unknown) => {
    if (!(error instanceof AppError && isPassing(error))) throw error;
    if (Date.now() - (await sinceFirst(job, context, 'ec2AwaySince')) < PATIENCE_MS) throw error;
    throw new AppError(
      'unverified',
      `whether instance ${instanceId} ended is not known: ${describe(error)}`,
      {
        cause: error,
      },
    );
  });
  if (facts.ec2AwaySince !== undefined) await context.remember({ ec2AwaySince: undefined });
  try {
    checkEnded(instanceId, state);
  } catch (error) {
    if (Date.now() - (await sinceFirst(job, context, 'ec2AliveSince')) >= LAG_MS) throw error;
    throw new AppError('conflict', `${describe(error)}; looking again`, { retryAfterMs: LOOK_AGAIN_MS });
  }
  return `EC2 ${state === undefined ? 'does not know it' : `says ${state}`}`;
}

function isPassing({ code }: AppError): boolean {
  return code === 'unavailable' || code === 'credentials';
}

/** When something was first so, in milliseconds since 1970. */
async function sinceFirst(
  job: JobRecord,
  context: StepContext,
  fact: 'ec2AwaySince' | 'ec2AliveSince',
): Promise<number> {
  const since = job.facts[fact] ?? Date.now();
  if (job.facts[fact] === undefined) await context.remember({ [fact]: since });
  return since;
}
