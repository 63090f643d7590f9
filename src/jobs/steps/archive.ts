import type { Archive } from '../../clients/archive/archive.ts';
import type { ChefClient } from '../../clients/chef/client.ts';
import type { Step } from '../run-steps.ts';

/** Saves node and client as the Chef server has them; nothing is deleted before this is done. */
export function archiveStep({ chef, archive }: { chef: ChefClient; archive: Archive }): Step {
  return async job => {
    if (!job.node) return { state: 'skipped', note: 'no node' };
    const snapshot = await chef.snapshot(job.node);
    if (!snapshot.node && !snapshot.client)
      return { state: 'skipped', note: 'neither node nor client in Chef' };
    const id = await archive.save({
      node: job.node,
      instanceId: job.instanceId ?? undefined,
      job: job.id,
      event: job.event,
      requestedBy: job.requestedBy,
      chef: snapshot,
    });
    return { state: 'done', note: `archive ${id}`, facts: { archive: id } };
  };
}
