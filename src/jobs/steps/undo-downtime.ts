import type { NagiosClient } from '../../clients/nagios/client.ts';
import { AppError, describe } from '../../domain/errors.ts';
import type { JobRecord } from '../record.ts';
import { fateOf } from '../retry.ts';
import type { StepResult } from '../run-steps.ts';
import { downtimeComment } from './downtime.ts';

/** Nagios writes its status every ten seconds by default (`status_update_interval`). */
const TIMEOUT_MS = 30_000;

/**
 * Cancels the downtime that a job asked for, of the host and of its services; for a job that ends held or discarded. Nagios
 * shows a downtime only at its next status update, so this looks again until a status was written after the call: about
 * ten seconds, at most thirty.
 * @returns undefined if the job asked for none; `failed`, with what a person must do, if some may still stand, and
 * `tryAgain` if the cause can pass; if `done`, with `facts` that forget the downtime, so that the job asks again if it goes on
 */
export async function undoDowntime(
  { nagios, timeoutMs = TIMEOUT_MS }: { nagios: NagiosClient | undefined; timeoutMs?: number },
  job: JobRecord,
): Promise<(StepResult & { tryAgain?: boolean }) | undefined> {
  const asked = job.facts.downtime;
  if (!nagios || !asked) return undefined;
  const comment = downtimeComment(job.id);
  try {
    // Whatever the job sent, it has sent already; another process, whose clock may be off, may have sent it.
    const submittedAt = new Date();
    const count = await nagios.cancelDowntimes({ comment, submittedAt, timeoutMs });
    const note =
      count === 0
        ? `Nagios has no downtime of ${asked.host} to cancel`
        : `${count} downtimes cancelled, of ${asked.host} and its services`;
    return { state: 'done', note, facts: { downtime: undefined } };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const advice = `cancel in Nagios what has the comment ${JSON.stringify(comment)}`;
    return {
      state: 'failed',
      note: `the downtime of ${asked.host} may still stand: ${describe(error)}; ${advice}`,
      tryAgain: fateOf(error, job.attempts).kind === 'retry',
    };
  }
}
