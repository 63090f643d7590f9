import type { NagiosClient } from '../../clients/nagios.ts';
import { AppError, describe } from '../../errors.ts';
import type { Step, StepResult } from '../run.ts';
import type { JobRecord } from '../store.ts';

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
      if (job.facts.downtime && (await stands(nagios, job, job.facts.downtime))) {
        return { state: 'done', note: `${job.facts.downtime.host} was in downtime already` };
      }
      for (const host of hosts) {
        await context.remember({ downtime: { host, submittedAt: new Date().toISOString() } });
        const result = await nagios.scheduleDowntime({ host, comment: comment(job) });
        if (result.outcome === 'submitted') return { state: 'done', note: `asked for ${host}` };
      }
      await context.remember({ downtime: undefined });
      return { state: 'skipped', note: `Nagios has no host ${hosts.join(' or ')}` };
    });
  };
}

/** Sees that the downtime stands: Nagios takes commands that come to nothing. */
export function confirmDowntimeStep({ nagios, required }: DowntimeDependencies): Step {
  return async job => {
    const asked = job.facts.downtime;
    if (!nagios || !asked) return { state: 'skipped', note: 'none was asked for' };
    return withoutNagios(required, job, async () => {
      await stands(nagios, job, asked, true);
      return { state: 'done', note: `${asked.host} and its services are in downtime` };
    });
  };
}

async function stands(
  nagios: NagiosClient,
  job: JobRecord,
  { host, submittedAt }: { host: string; submittedAt: string },
  must = false,
): Promise<boolean> {
  const awaited = { host, comment: comment(job), submittedAt: new Date(submittedAt) };
  try {
    await nagios.awaitDowntime(awaited, { timeoutMs: PROOF_TIMEOUT_MS });
    return true;
  } catch (error) {
    if (!must && error instanceof AppError && error.code === 'rejected') return false;
    throw error;
  }
}

/** A Nagios that stays away does not keep the dead in Chef, unless it is required. */
async function withoutNagios(
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
function hostNames({ event, node, facts }: JobRecord): string[] {
  const named = 'nagiosHost' in event ? event.nagiosHost : undefined;
  if (named) return [named];
  const names = [node, facts.fqdn].filter(name => typeof name === 'string');
  return [...new Set(names)];
}

/** Unique to the job, so that a second attempt finds what the first one asked for. */
function comment(job: JobRecord): string {
  return `instance terminated, chef-deregistration job ${job.id}`;
}
