import type { NagiosClient } from '../../clients/nagios.ts';
import { AppError, describe } from '../../errors.ts';
import type { AskedDowntime, JobRecord } from '../record.ts';
import { Later, type Step, type StepResult } from '../run.ts';

export interface DowntimeDependencies {
  nagios: NagiosClient | undefined;
  /** Whether nothing may be deleted while Nagios cannot be reached. */
  required: boolean;
}

/** Attempts of a job in which Nagios is asked before it goes on without. */
const PATIENCE = 3;
/** Nagios writes its status every ten seconds unless told otherwise (`status_update_interval`). */
const PROOF_TIMEOUT_MS = 30_000;

/** Puts the host and its services into downtime, once per job. */
export function downtimeStep({ nagios, required }: DowntimeDependencies): Step {
  return async (job, context) => {
    if (!nagios) return { state: 'skipped', note: 'NAGIOS_URL is not set' };
    const hosts = hostNames(job);
    if (hosts.length === 0) return { state: 'skipped', note: 'no node, so no host name for Nagios' };
    return withoutNagios(required, job, async () => {
      const earlier = job.facts.downtime;
      if (earlier && (await stands(nagios, job, earlier))) {
        return { state: 'done', note: `${earlier.host} was in downtime already` };
      }
      // Services go first; an attempt that died between the two has only the host left to do.
      const hostOnly = earlier !== undefined && (await isListed(nagios, job));
      for (const host of hosts) {
        await context.remember({ downtime: { host, submittedAt: new Date().toISOString() } });
        const scheduled = await nagios.scheduleDowntime({ host, comment: downtimeComment(job.id), hostOnly });
        if (scheduled.outcome === 'unknown-host') continue;
        const { submittedAt, end } = scheduled;
        const downtime = { host, submittedAt: submittedAt.toISOString(), end: end.toISOString() };
        return { state: 'done', note: `asked for ${host}`, facts: { downtime } };
      }
      const note = `Nagios has no host ${hosts.join(' or ')}`;
      return { state: 'skipped', note, facts: { downtime: undefined } };
    });
  };
}

/** Sees that the downtime stands: Nagios takes commands that come to nothing. */
export function confirmDowntimeStep({ nagios, required }: DowntimeDependencies): Step {
  return async job => {
    const asked = job.facts.downtime;
    if (!nagios || !asked) return { state: 'skipped', note: 'none was asked for' };
    return withoutNagios(required, job, async () => {
      const sought = awaited(job, asked);
      const waitedMs = Date.now() - Date.parse(asked.submittedAt);
      // The last look tells why it saw nothing.
      if (waitedMs >= PROOF_TIMEOUT_MS) await nagios.awaitDowntime(sought, { timeoutMs: 0 });
      else if (!(await nagios.showsDowntime(sought))) throw new Later(nextLookMs(waitedMs));
      return { state: 'done', note: `${asked.host} and its services are in downtime` };
    });
  };
}

/** Whether Nagios has the downtime; only a status that it wrote after the command can tell that it has not. */
async function stands(nagios: NagiosClient, job: JobRecord, asked: AskedDowntime): Promise<boolean> {
  try {
    await nagios.awaitDowntime(awaited(job, asked), { timeoutMs: PROOF_TIMEOUT_MS });
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === 'rejected') return false;
    throw error;
  }
}

/** Soon at first, for a Nagios that writes its status often, and then each time after as long again. */
function nextLookMs(waitedMs: number): number {
  return Math.min(Math.max(waitedMs, 1_000), 4_000);
}

function awaited(job: JobRecord, { host, submittedAt, end }: AskedDowntime) {
  return {
    host,
    comment: downtimeComment(job.id),
    submittedAt: new Date(submittedAt),
    end: end === undefined ? undefined : new Date(end),
  };
}

async function isListed(nagios: NagiosClient, job: JobRecord): Promise<boolean> {
  const { downtimes } = await nagios.listDowntimes();
  return downtimes.some(downtime => downtime.comment === downtimeComment(job.id));
}

/** A Nagios that stays away does not keep the dead in Chef, unless it is required. */
export async function withoutNagios(
  required: boolean,
  job: JobRecord,
  act: () => Promise<StepResult>,
): Promise<StepResult> {
  try {
    return await act();
  } catch (error) {
    if (required || !(error instanceof AppError)) throw error;
    if (error.code === 'unavailable' && job.attempts < PATIENCE) throw error;
    return { state: 'failed', note: `went on without it: ${describe(error)}` };
  }
}

/** Names under which Nagios may know the node, the likeliest first. */
export function hostNames({ event, node, facts }: JobRecord): string[] {
  const named = 'nagiosHost' in event ? event.nagiosHost : undefined;
  if (named) return [named];
  const names = [node, facts.fqdn].filter(name => typeof name === 'string');
  return [...new Set(names)];
}

/** Unique to the job, so that a second attempt, and a restore, finds what the job asked for. */
export function downtimeComment(jobId: string): string {
  return `instance terminated, chef-deregistration job ${jobId}`;
}
