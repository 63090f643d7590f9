import type { Archive } from '../../clients/archive/archive.ts';
import type { NagiosClient } from '../../clients/nagios/client.ts';
import type { JobRecord } from '../record.ts';
import type { Step } from '../run-steps.ts';
import { downtimeComment, tolerateMonitorOutage } from './downtime.ts';

export interface CancelDependencies {
  archive: Archive;
  nagios: NagiosClient | undefined;
  /** Ids of the earlier jobs that asked for a downtime of this job's node. */
  downtimeJobs: (job: JobRecord) => Promise<string[]>;
}

/** Cancels the downtimes that the node's own deletions set; nobody else's. */
export function cancelDowntimeStep({ nagios, archive, downtimeJobs }: CancelDependencies): Step {
  return async job => {
    if (!nagios) return { state: 'skipped', note: 'NAGIOS_URL is not set' };
    if (!job.facts.lost?.node && !job.facts.lost?.client) {
      return { state: 'skipped', note: 'nothing was missing in Chef' };
    }
    // A missing alarm is not a reason to keep a restore open.
    return tolerateMonitorOutage(false, job, async () => {
      let cancelled = 0;
      // The archives know their jobs even where Redis has forgotten them.
      const archives = await Promise.all(archivesOf(job).map(id => archive.get(id)));
      const jobs = new Set([...(await downtimeJobs(job)), ...archives.flatMap(record => record?.job ?? [])]);
      for (const id of jobs) {
        cancelled += await nagios.cancelDowntimes({ comment: downtimeComment(id) });
      }
      if (cancelled === 0) return { state: 'skipped', note: 'Nagios has no downtime that we set' };
      return { state: 'done', note: `${cancelled} cancelled, of the host and its services` };
    });
  };
}

function archivesOf({ facts: { from } }: JobRecord): string[] {
  return [...new Set([from?.node, from?.client])].filter(id => id !== undefined);
}
