import type { AutoScalingClient } from '../../clients/aws/autoscaling.ts';
import type { Ec2Client } from '../../clients/aws/ec2.ts';
import { AppError, describe, type Reason } from '../../domain/errors.ts';
import { isOnlyClaimed } from '../../domain/evidence.ts';
import { type InstanceEnd, instanceEnd, type Observed } from '../../domain/instance-end.ts';
import type { Facts, JobRecord } from '../record.ts';
import type { StepContext } from '../run-steps.ts';

export interface ConfirmDependencies {
  ec2: Pick<Ec2Client, 'instanceState'>;
  autoScaling: Pick<AutoScalingClient, 'instanceState'>;
  /** Whether AWS is asked about every termination (VERIFY_EC2), and not only about claims. */
  verifyAll: boolean;
}

/** What AWS says when it is asked itself. */
export interface Confirmation {
  /** For the job's record; undefined if AWS need not be asked. */
  because?: string;
  reasons: Reason[];
}

/** How long AWS is asked before the job is held. */
const PATIENCE_MS = 120_000;
/** EC2 shows an instance that has just ended as running for a moment: its API is eventually consistent. */
const LAG_MS = 8_000;
/** A Spot instance runs on for two minutes after its warning. */
const SPOT_LAG_MS = 150_000;
const LOOK_AGAIN_MS = 2_000;

/**
 * Asks AWS whether the job's instance has ended, if that must be confirmed and was not yet: an instance that ended or is
 * ending does not come back.
 * @param options.patient whether waiting helps; if not, what is not known now holds the job @default true
 * @throws AppError to be tried again, while AWS may still answer otherwise
 */
export async function confirmEnd(
  job: JobRecord,
  context: StepContext,
  dependencies: ConfirmDependencies,
  { patient = true } = {},
): Promise<Confirmation> {
  const { instanceId, facts } = job;
  if (instanceId === null || !(dependencies.verifyAll || isOnlyClaimed(job))) return { reasons: [] };
  if (facts.confirmed) return { because: facts.confirmed.because, reasons: [] };
  const doubted = (code: 'alive' | 'unverified', message: string): Confirmation => ({
    because: message,
    reasons: [{ code, message, by: 'ec2' }],
  });
  let end: InstanceEnd;
  try {
    end = await ask(job, instanceId, dependencies);
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'invalid') throw error;
    const passing = error.code === 'unavailable' || error.code === 'credentials';
    const since = await sinceFirst(job, context, 'awayFrom');
    if (passing && patient && Date.now() - since < PATIENCE_MS) throw error;
    return doubted('unverified', `whether instance ${instanceId} ended is not known: ${describe(error)}`);
  }
  if (facts.awayFrom !== undefined) await context.remember({ awayFrom: undefined });
  const said = `the event says that instance ${instanceId} ended, but ${end.because.replace(/^EC2 says /, `EC2 says ${instanceId} is `)}`;
  switch (end.answer) {
    case 'ended':
    case 'ending':
      await context.remember({ confirmed: { at: Date.now(), because: end.because } });
      return { because: end.because, reasons: [] };
    case 'alive': {
      const lag = job.kind === 'downtime' ? SPOT_LAG_MS : LAG_MS;
      if (patient && Date.now() - (await sinceFirst(job, context, 'aliveFrom')) < lag) {
        throw new AppError('conflict', `${said}; looking again`, { retryAfterMs: LOOK_AGAIN_MS });
      }
      return doubted('alive', said);
    }
    case 'unknown':
      return doubted('unverified', `whether instance ${instanceId} ended is not known: ${end.because}`);
  }
}

async function ask(
  { lifecycles, facts }: JobRecord,
  instanceId: string,
  { ec2, autoScaling }: ConfirmDependencies,
): Promise<InstanceEnd> {
  const now = new Date();
  const node = {
    account: facts.account,
    region: facts.region,
    lastSeen: facts.lastSeen === undefined ? undefined : new Date(facts.lastSeen),
  };
  // Auto Scaling alone knows of an instance that runs only until its lifecycle action is completed.
  let observed: Pick<Observed, 'autoScaling' | 'group'> = {};
  for (const { group, region } of lifecycles) {
    observed = { autoScaling: await autoScaling.instanceState(instanceId, region), group };
    const end = instanceEnd({ ...observed, now });
    if (end.answer === 'ending') return end;
  }
  const region = facts.region ?? lifecycles[0]?.region;
  return instanceEnd({ ...observed, ec2: await ec2.instanceState(instanceId, region), node, now });
}

/** When something was first so, in milliseconds since 1970. */
async function sinceFirst(
  job: JobRecord,
  context: StepContext,
  fact: 'awayFrom' | 'aliveFrom',
): Promise<number> {
  const since = job.facts[fact] ?? Date.now();
  if (job.facts[fact] === undefined) await context.remember({ [fact]: since } satisfies Facts);
  return since;
}
