import type { Archive } from '../../clients/archive/archive.ts';
import type { ChefClient } from '../../clients/chef/client.ts';
import {
  holdFor,
  machineOf,
  notApproved,
  reasonsOfProtection,
  refuseNeverDeleted,
} from '../../domain/deletion-guard.ts';
import { AppError, type Reason } from '../../domain/errors.ts';
import type { JobRecord } from '../record.ts';
import type { Step, StepContext, StepResult } from '../run-steps.ts';
import type { LastSaid } from '../store.ts';
import { archivedFingerprints } from './archived-client.ts';
import { type ConfirmDependencies, confirmEnd } from './confirm.ts';
import { lookAt, type NodeReading, reasonsAgainst, type Seen, terminationOf } from './look.ts';
import { overruledByEnsure } from './overruled.ts';

export interface GuardDependencies extends NodeReading, ConfirmDependencies {
  chef: ChefClient;
  archive: Archive;
  /** Reads the public keys of an archived client. */
  savedKeys: Parameters<typeof archivedFingerprints>[3];
  /** The Chef client that this service is. */
  ownClient: string;
  protectedNodes: readonly string[];
  lastSaid: (node: string | null, instanceId: string | null) => Promise<LastSaid>;
  /** Takes a deletion out of the budget. @throws AppError `over-budget` */
  spend: (jobId: string) => Promise<void>;
}

/** Whether the job may touch this node at all: every check comes before the first effect, the downtime included. */
export function guardStep(dependencies: GuardDependencies): Step {
  return (job, context) =>
    job.kind === 'downtime'
      ? guardDowntime(job, context, dependencies)
      : guardDeletion(job, context, dependencies);
}

/** A silenced host is harm, too, so a claim that nobody confirms silences none. */
async function guardDowntime(
  job: JobRecord,
  context: StepContext,
  dependencies: GuardDependencies,
): Promise<StepResult> {
  const { because, reasons } = await confirmEnd(job, context, dependencies);
  holdFor(reasons, notApproved(reasons, job.approval, undefined, undefined));
  return { state: 'done', ...(because && { note: because }) };
}

async function guardDeletion(
  job: JobRecord,
  context: StepContext,
  dependencies: GuardDependencies,
): Promise<StepResult> {
  const { protectedNodes, ownClient, spend, instanceAttribute } = dependencies;
  const name = job.node;
  if (!name) return { state: 'skipped', note: 'no node' };
  const seen = await lookAt(name, dependencies);
  const { node, client } = seen;
  if (!node && !client)
    return { state: 'done', note: 'there is nothing to delete', facts: { inChef: false } };
  refuseNeverDeleted(name, client, ownClient);
  // The keys of an earlier look count only while no node vouches for the client.
  const checkedKeys = node ? undefined : await knownKeys(job, name, seen, dependencies);
  const opposite = await saidLater(job, name, dependencies);
  const against = () => reasonsAgainst({ ...terminationOf(job, name), checkedKeys }, seen, instanceAttribute);
  const general = reasonsOfProtection(name, protectedNodes);
  const known = [...opposite, ...against(), ...general];
  const open = (reasons: readonly Reason[]) => notApproved(reasons, job.approval, node, client);
  const { because, reasons: unconfirmed } = await confirmEnd(job, context, dependencies, {
    patient: open(known).length === 0,
  });
  // What AWS has just confirmed may be newer than what spoke against it.
  const reasons = [...opposite, ...against(), ...unconfirmed, ...general];
  job.facts.machine = machineOf(node, client);
  holdFor(reasons, open(reasons));
  await spendUnlessApproved(job, seen, reasons, spend);
  const approved =
    job.approval &&
    `approved by ${job.approvedBy}: ${job.approval.reasons.map(({ code }) => code).join(', ')}`;
  const note = [approved, because].filter(Boolean).join('; ');
  return {
    state: 'done',
    ...(note && { note }),
    ...(client && { facts: { clientKeys: [...client.fingerprints] } }),
  };
}

async function spendUnlessApproved(
  job: JobRecord,
  { node, client }: Seen,
  others: readonly Reason[],
  spend: GuardDependencies['spend'],
): Promise<void> {
  try {
    await spend(job.id);
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'over-budget')) throw error;
    const reasons: Reason[] = [...others, { code: 'over-budget', message: error.message }];
    holdFor(reasons, notApproved(reasons, job.approval, node, client));
  }
}

/** An `ensure` that was said after the deletion wins, for the instance and for the node's name. */
async function saidLater(
  job: JobRecord,
  node: string,
  { lastSaid }: Pick<GuardDependencies, 'lastSaid'>,
): Promise<Reason[]> {
  const last = await lastSaid(node, job.instanceId);
  return last.ensured < job.saidAt.getTime() ? [] : [overruledByEnsure(job, last)];
}

/** The keys that show whose a client without a node is: those of an earlier look, or of the instance's archive. */
async function knownKeys(
  job: JobRecord,
  name: string,
  { client }: Seen,
  { archive, savedKeys }: Pick<GuardDependencies, 'archive' | 'savedKeys'>,
): Promise<readonly string[] | undefined> {
  if (!client || job.instanceId === null) return undefined;
  return job.facts.clientKeys ?? archivedFingerprints(archive, name, job.instanceId, savedKeys);
}
