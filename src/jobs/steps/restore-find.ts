import type { ChefClient } from '../../clients/chef/client.ts';
import { isApproved } from '../../domain/deletion-guard.ts';
import { AppError } from '../../domain/errors.ts';
import { isInstanceId } from '../../domain/identifiers.ts';
import type { JobRecord } from '../record.ts';
import type { Step } from '../run-steps.ts';
import type { LastSaid } from '../store.ts';
import { overruled } from './overruled.ts';
import { type Choice, type ChoiceDependencies, chooseArchives } from './restore-choice.ts';

export interface LostDependencies extends ChoiceDependencies {
  chef: ChefClient;
  lastSaid: (node: string | null, instanceId: string | null) => Promise<LastSaid>;
}

/** Finds what Chef lost of a node, and what it can be restored from; where nothing is lost, nothing will be done. */
export function findLostStep(dependencies: LostDependencies): Step {
  const { chef, attribute, instanceAttribute } = dependencies;
  return async (job, context) => {
    const name = nodeOf(job);
    await refuseOverruled(job, name, dependencies);
    // A person who approved the job has looked at the other instance or the archive.
    const approved = isApproved(job.approval, 'other-instance') || isApproved(job.approval, 'other-archive');
    const instanceId = approved ? null : job.instanceId;
    const [node, client] = await Promise.all([chef.getNode(name), chef.clientIdentity(name)]);
    const instance = node && attribute(node, instanceAttribute);
    if (isInstanceId(instance)) {
      if (instanceId !== null && instance !== instanceId) {
        throw new AppError(
          'other-instance',
          `instance ${instanceId} was to be restored as Chef node ${name}, which lives as instance ${instance}; nothing was changed`,
        );
      }
      // A deletion of the instance that was accepted earlier, and does not know the node's name yet, comes first.
      await context.claimInstance(instance);
    }
    // Nobody can use a client without a key; it may be what an earlier restore left.
    const lost = { node: !node, client: !client || client.keys.length === 0 };
    if (!lost.node && !lost.client) {
      const note = `node and client ${name} live in Chef: nothing is changed`;
      return { state: 'done', note, facts: { lost } };
    }
    const choice = await chooseArchives({ node: name, instanceId, archive: wish(job).archive }, dependencies);
    if (!node && !choice.node && !isDescribed(job)) throw nothingToRestore(name);
    const from = { node: choice.node?.id, client: choice.client?.id };
    const note = `Chef has no ${missing(lost)} ${name}; ${source(choice, lost)}`;
    return { state: 'done', note, facts: { lost, from } };
  };
}

/** A deletion that was said after the `ensure`, and carried out, wins. @throws AppError `overruled` */
async function refuseOverruled(job: JobRecord, node: string, { lastSaid }: LostDependencies): Promise<void> {
  const { deleted, asked } = await lastSaid(node, job.instanceId);
  if (deleted <= job.saidAt.getTime() || isApproved(job.approval, 'overruled')) return;
  const reason = overruled(job, deleted, asked >= deleted ? 'person' : 'host');
  throw new AppError(reason.code, reason.message, { reasons: [reason] });
}

export function nodeOf({ node }: JobRecord): string {
  if (node === null) throw new AppError('invalid', 'an ensure names its node');
  return node;
}

/** What a person asked for beyond the node's name. */
export function wish({ event }: JobRecord): { archive?: string; runList?: string[]; environment?: string } {
  return event.kind === 'request' ? event : {};
}

/** Whether the request itself says what the node is to be. */
function isDescribed(job: JobRecord): boolean {
  const { runList, environment } = wish(job);
  return runList !== undefined || environment !== undefined;
}

function nothingToRestore(name: string): AppError {
  return new AppError(
    'rejected',
    `there is no archive of Chef node ${name}, and the request has neither runList nor environment: send POST /events with one of them, or run chef-client on the host, or bootstrap it again (knife bootstrap)`,
  );
}

function missing({ node, client }: { node: boolean; client: boolean }): string {
  if (node && client) return 'node and client';
  return node ? 'node' : 'client';
}

function source({ node, client }: Choice, lost: { node: boolean; client: boolean }): string {
  const ids = new Set([lost.node && node?.id, lost.client && client?.id].filter(Boolean));
  return ids.size > 0 ? `restoring from archive ${[...ids].join(' and ')}` : 'no archive has it';
}
