import type { ChefClient } from '../../clients/chef/client.ts';
import type { NagiosClient } from '../../clients/nagios/client.ts';
import { isApproved } from '../../domain/deletion-guard.ts';
import { AppError, describe } from '../../domain/errors.ts';
import type { AskedDowntime, JobRecord } from '../record.ts';
import { RescheduleError, type Step, type StepContext, type StepResult } from '../run-steps.ts';
import { describeSearch, type HostSearch, monitorHosts } from './monitor-host.ts';

export interface DowntimeDependencies {
  nagios: NagiosClient | undefined;
  chef: ChefClient;
  /** Whether nothing may be deleted before Nagios shows its downtime. */
  required: boolean;
}

/** Attempts of a job in which Nagios is asked before it goes on without. */
const PATIENCE = 3;
/** Nagios writes its status every ten seconds by default (`status_update_interval`). */
const PROOF_TIMEOUT_MS = 30_000;

/** Puts the host and its services into downtime, once per job; if Nagios is required, until Nagios shows it. */
export function downtimeStep({ nagios, chef, required }: DowntimeDependencies): Step {
  return async (job, context) => {
    if (!nagios) return { state: 'skipped', note: 'NAGIOS_URL is not set' };
    return tolerateMonitorOutage(required, job, async () => {
      const proved = required && (await isProvable(nagios, job));
      const earlier = job.facts.downtime;
      const result = earlier && (await resume(nagios, proved, job, context, earlier));
      return result ?? ask({ nagios, chef }, proved, job, context);
    });
  };
}

/**
 * Whether the downtime is to be proved; not if Nagios cannot show any and a person let the job go on without. Checked before
 * the first effect, since what Nagios cannot show cannot be cancelled either.
 * @throws AppError `unproved-downtime`
 */
async function isProvable(nagios: NagiosClient, job: JobRecord): Promise<boolean> {
  try {
    await nagios.canShowDowntimes();
    return true;
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    if (isApproved(job.approval, 'unproved-downtime')) return false;
    throw new AppError(
      'unproved-downtime',
      `nothing was deleted, since NAGIOS_REQUIRED=true and no downtime can be proved. ${describe(error)}. Then approve the job, or approve it now to go on without a proof`,
    );
  }
}

function isUnsupported(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'unsupported';
}

/**
 * Looks for what an earlier attempt asked for.
 * @returns undefined if it must be asked for again
 * @throws RescheduleError while Nagios cannot tell yet
 */
async function resume(
  nagios: NagiosClient,
  proved: boolean,
  job: JobRecord,
  context: StepContext,
  earlier: AskedDowntime,
): Promise<StepResult | undefined> {
  try {
    await prove(nagios, job, earlier);
    const downtime = { ...earlier, seen: true as const };
    return { state: 'done', note: `${earlier.host} is in downtime`, facts: { downtime } };
  } catch (error) {
    if (isUnsupported(error) && !proved) {
      return earlier.end ? { state: 'done', note: `asked for ${earlier.host}` } : undefined;
    }
    if (!(error instanceof AppError && error.code === 'rejected')) throw error;
    if (!proved || !earlier.end) return undefined;
    // Nagios took this command and made something else of it: asking again would do the same.
    await nagios.cancelDowntimes({ comment: downtimeComment(job.id) });
    await context.remember({ downtime: undefined });
    throw error;
  }
}

async function ask(
  { nagios, chef }: { nagios: NagiosClient; chef: ChefClient },
  proved: boolean,
  job: JobRecord,
  context: StepContext,
): Promise<StepResult> {
  const comment = downtimeComment(job.id);
  const half = await isHalfDone(nagios, job);
  const search: HostSearch = { unknown: new Set(), passedOver: [] };
  const refused: string[] = [];
  for await (const host of half ? [half] : monitorHosts(job, { nagios, chef }, search)) {
    await context.remember({ downtime: { host, submittedAt: new Date().toISOString() } });
    const scheduled = await nagios.scheduleDowntime({ host, comment, hostOnly: half !== undefined });
    if (scheduled.outcome === 'unknown-host') search.unknown.add(host);
    if (scheduled.outcome === 'refused') refused.push(host);
    if (scheduled.outcome !== 'submitted') continue;
    const { submittedAt, end } = scheduled;
    const downtime = { host, submittedAt: submittedAt.toISOString(), end: end.toISOString() };
    if (proved) {
      await context.remember({ downtime });
      throw new RescheduleError(nextLookMs(0));
    }
    const note = [`asked for ${host}`, ...search.passedOver].join('; ');
    return { state: 'done', note, facts: { downtime } };
  }
  const facts = { downtime: undefined };
  if (refused.length === 0) {
    return { state: 'skipped', note: describeSearch(search) || 'no node, so no host name for Nagios', facts };
  }
  const names = refused.join(' or ');
  const note = `Nagios takes no command for ${names}: it has no such host, or the user may not command it`;
  if (proved)
    throw new AppError('unproved-downtime', `nothing was deleted, since NAGIOS_REQUIRED=true. ${note}`);
  return { state: 'failed', note, facts };
}

/** The services go first: of an attempt that ended between the two commands, only the host is left to do. */
async function isHalfDone(nagios: NagiosClient, job: JobRecord): Promise<string | undefined> {
  const { host } = job.facts.downtime ?? {};
  if (host === undefined) return undefined;
  try {
    const { downtimes } = await nagios.listDowntimes();
    return downtimes.some(downtime => downtime.comment === downtimeComment(job.id)) ? host : undefined;
  } catch (error) {
    if (isUnsupported(error)) return undefined;
    throw error;
  }
}

/** Sees that the downtime stands: Nagios takes commands that come to nothing. */
export function confirmDowntimeStep({ nagios, required }: DowntimeDependencies): Step {
  return async job => {
    const asked = job.facts.downtime;
    if (!nagios || !asked) return { state: 'skipped', note: 'none was asked for' };
    return tolerateMonitorOutage(required, job, async () => {
      try {
        if (!asked.seen) await prove(nagios, job, asked);
        return { state: 'done', note: `${asked.host} and its services are in downtime` };
      } catch (error) {
        const isStrict = required && !isApproved(job.approval, 'unproved-downtime');
        if (isStrict || !isUnsupported(error)) throw error;
        return { state: 'failed', note: `asked for ${asked.host}, but not proved. ${describe(error)}` };
      }
    });
  };
}

/**
 * Resolves if Nagios shows the downtime.
 * @throws RescheduleError while it can still come
 * @throws AppError `rejected` if Nagios made no such downtime, `unavailable` if it does not write its status, `unsupported`
 */
async function prove(nagios: NagiosClient, job: JobRecord, asked: AskedDowntime): Promise<void> {
  const { host, submittedAt, end } = asked;
  const sought = {
    host,
    comment: downtimeComment(job.id),
    submittedAt: new Date(submittedAt),
    end: end === undefined ? undefined : new Date(end),
  };
  const waitedMs = Date.now() - Date.parse(submittedAt);
  // The last look tells why it saw nothing.
  if (waitedMs >= PROOF_TIMEOUT_MS) await nagios.awaitDowntime(sought, { timeoutMs: 0 });
  else if (!(await nagios.showsDowntime(sought))) throw new RescheduleError(nextLookMs(waitedMs));
}

/** Soon at first, for a Nagios that writes its status often, and then each time after as long again. */
function nextLookMs(waitedMs: number): number {
  return Math.min(Math.max(waitedMs, 1_000), 4_000);
}

/** A Nagios outage does not stop deletions, unless Nagios is required. */
export async function tolerateMonitorOutage(
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

/** Unique to the job, so that a second attempt, and a restore, finds what the job asked for. */
export function downtimeComment(jobId: string): string {
  return `instance terminated, chef-deregistration job ${jobId}`;
}
