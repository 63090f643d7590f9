import type { Archive, ArchiveRecord } from '../../clients/archive/archive.ts';
import type { ChefClient } from '../../clients/chef/client.ts';
import type { ChefNode } from '../../domain/chef-node.ts';
import { isApproved } from '../../domain/deletion-guard.ts';
import { AppError } from '../../domain/errors.ts';
import { isInstanceId } from '../../domain/identifiers.ts';
import type { JobRecord } from '../record.ts';
import type { Step, StepResult } from '../run-steps.ts';
import { type ChoiceDependencies, instanceOf } from './restore-choice.ts';
import { nodeOf, wish } from './restore-find.ts';

export interface RestoreDependencies extends ChoiceDependencies {
  chef: ChefClient;
}

const NOTHING_LOST: StepResult = { state: 'skipped', note: 'nothing is missing in Chef' };

/** Makes the client again with the keys it had, before the node: a node's ACL can name only clients that are there. */
export function recreateClientStep({ chef, archive }: RestoreDependencies): Step {
  return async (job, context) => {
    const name = nodeOf(job);
    const { lost, from } = job.facts;
    if (!lost?.node && !lost?.client) return NOTHING_LOST;
    const record = from?.client === undefined ? undefined : await read(archive, from.client);
    const saved = record && savedClient(record);
    if (!lost.client) {
      if (saved && !isApproved(job.approval, 'other-key')) await checkKey(chef, name, saved);
      return { state: 'skipped', note: `client ${name} is there already` };
    }
    const made =
      saved && (await context.changeChef(beforeSend => chef.restoreClient(name, saved, { beforeSend })));
    if (!record || made !== 'restored') {
      const note = `no archive has a public key of client ${name}: ${bootstrapAdvice(name)}`;
      return { state: 'skipped', note, facts: { needsBootstrap: true } };
    }
    const { clientAcl } = record.chef;
    const reduced =
      clientAcl &&
      (await context.changeChef(beforeSend => chef.restoreAcl('clients', name, clientAcl, { beforeSend })));
    return { state: 'done', note: `with the keys of archive ${record.id}${aclNote(reduced)}` };
  };
}

/** Makes the node again, byte for byte as it was saved, and lets its client save it. */
export function recreateNodeStep(dependencies: RestoreDependencies): Step {
  const { chef, archive } = dependencies;
  return async (job, context) => {
    const name = nodeOf(job);
    const { lost, from, needsBootstrap } = job.facts;
    if (!lost?.node && !lost?.client) return NOTHING_LOST;
    const record = from?.node === undefined ? undefined : await read(archive, from.node);
    const existing = await chef.getNode(name);
    const isThere = existing !== undefined;
    if (existing && lost.node && !isApproved(job.approval, 'other-instance')) {
      refuseOtherInstance(existing, record, job, dependencies);
    }
    if (!isThere) {
      // Asked for again before this attempt: it was there when the step before it looked.
      if (!lost.node)
        throw new AppError('conflict', `Chef node ${name} is gone meanwhile: deleted by somebody else?`);
      await context.changeChef(beforeSend =>
        record?.chef.node
          ? chef.restoreNode(name, record.chef.node, { beforeSend })
          : chef.createNode(describedNode(name, wish(job)), { beforeSend }),
      );
    }
    const nodeAcl = lost.node ? record?.chef.nodeAcl : undefined;
    const reduced = await context.changeChef(async beforeSend => {
      const changed = nodeAcl && (await chef.restoreAcl('nodes', name, nodeAcl, { beforeSend }));
      // What the archive lacks, and what goes with a client that was deleted: its right to save the node.
      if (!nodeAcl && (await chef.getClient(name))) await chef.allowOwnClient(name, { beforeSend });
      return changed;
    });
    const how = record?.chef.node
      ? `as in archive ${record.id}`
      : 'with the run list and environment of the request';
    const found = needsBootstrap ? 'was there' : 'was there; its client may save it';
    const note = lost.node ? `${how}${isThere ? ' (was there already)' : ''}` : found;
    const advice = needsBootstrap ? `; its host has no client: ${bootstrapAdvice(name)}` : '';
    return { state: 'done', note: note + aclNote(reduced) + advice };
  };
}

function bootstrapAdvice(name: string): string {
  return `bootstrap the host again (knife bootstrap ADDRESS -N ${name})`;
}

async function read(archive: Archive, id: string): Promise<ArchiveRecord> {
  const record = await archive.get(id);
  if (record) return record;
  throw new AppError(
    'rejected',
    `archive ${id} is gone since the restore began; choose another by POST /events`,
  );
}

function savedClient({
  chef: { client, clientKeys },
}: ArchiveRecord): { client: string; clientKeys: string[] } | undefined {
  return client === null ? undefined : { client, clientKeys };
}

/** A client that still exists counts as the same host's only if it has one of the keys it had. */
async function checkKey(
  chef: ChefClient,
  name: string,
  saved: { client: string; clientKeys: string[] },
): Promise<void> {
  if ((await chef.hasKeyOf(name, saved)) !== false) return;
  throw new AppError(
    'other-key',
    `Chef client ${name} has none of the keys that its archive has: is it a new machine of this name? Nothing was restored`,
  );
}

/** A node that came after the job had looked for it may be a new machine's. @throws AppError `other-instance` */
function refuseOtherInstance(
  node: ChefNode,
  record: ArchiveRecord | undefined,
  { instanceId }: JobRecord,
  dependencies: RestoreDependencies,
): void {
  const { attribute, instanceAttribute } = dependencies;
  const seen = attribute(node, instanceAttribute);
  const lost = record ? instanceOf(record, dependencies) : instanceId;
  if (!isInstanceId(seen) || seen === lost) return;
  throw new AppError(
    'other-instance',
    `Chef had no node ${node.name} when this job looked for it, and has one of instance ${seen} now; ${lost ?? 'another one'} was to be restored. The node was left alone`,
  );
}

function describedNode(name: string, { runList, environment }: ReturnType<typeof wish>): ChefNode {
  return {
    name,
    chef_type: 'node',
    json_class: 'Chef::Node',
    chef_environment: environment ?? '_default',
    run_list: runList ?? [],
    automatic: {},
    normal: {},
    default: {},
    override: {},
  };
}

function aclNote(reduced: string[] | '' | undefined): string {
  if (!reduced || reduced.length === 0) return '';
  return `; its ACL names somebody who is gone, so ${reduced.join(', ')} went to the client alone`;
}
