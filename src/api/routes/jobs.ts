import { isDeepStrictEqual } from 'node:util';
import { type Request, Router } from 'express';
import { AppError, type HoldCode } from '../../domain/errors.ts';
import type { Job, JobState } from '../../domain/job.ts';
import type { Trigger } from '../../jobs/chef-client-run/trigger.ts';
import type { JobFilter } from '../../jobs/job-filter.ts';
import type { Dispatcher } from '../../jobs/outbox.ts';
import type { JobRecord } from '../../jobs/record.ts';
import type { Change, JobStore } from '../../jobs/store.ts';

export interface JobRouteDependencies {
  store: JobStore;
  dispatcher: Dispatcher;
  trigger: Trigger;
}

/** What a person may do to a job: from which state, to which, and what is noted. */
interface Decision {
  from: JobState;
  to: JobState;
  change: (caller: string, job: JobRecord) => Change;
}

const DECISIONS = {
  retry: { from: 'failed', to: 'queued', change: () => ({}) },
  approve: { from: 'held', to: 'queued', change: approval },
  discard: {
    from: 'held',
    to: 'discarded',
    change: caller => ({
      finishedAt: new Date().toISOString(),
      error: { code: 'discarded', message: `discarded by ${caller}` },
    }),
  },
} satisfies Record<string, Decision>;
type DecisionName = keyof typeof DECISIONS;

/**
 * Lets a job pass the reason that it is held for, and those that were approved before for the same machine; it looks at
 * everything again, so any other reason, or another machine of that name, holds it again.
 */
function approval(caller: string, { reasons: [reason] = [], machine, approval: earlier }: JobRecord): Change {
  const sameMachine = isDeepStrictEqual(earlier?.machine, machine);
  const reasons = [...(sameMachine ? (earlier?.reasons ?? []) : []), ...(reason ? [reason] : [])];
  return {
    approvedBy: caller,
    approvedFor: [...new Set(reasons.map(({ code }) => code))],
    approval: { reasons, ...(machine && { machine }) },
    again: true,
  };
}

/** Of those that the store lists: the jobs that are held for just this reason, if one is asked for. */
function isHeldFor({ reasons = [] }: JobRecord, code: HoldCode | undefined): boolean {
  return code === undefined || (reasons.length > 0 && reasons.every(reason => reason.code === code));
}

/** What became of the events, and what a person decides about them: `/jobs`, `/trigger`. */
export function jobRoutes({ store, dispatcher, trigger }: JobRouteDependencies): Router {
  async function decide(name: DecisionName, job: JobRecord, caller: string) {
    const { from, to, change }: Decision = DECISIONS[name];
    // Only in the run that was shown, so that what is decided about is what was seen.
    const result = await store.move(job, [from], to, change(caller, job));
    if (result.moved) dispatcher.dispatch(result.tokens);
    return { ...result, from };
  }

  async function decideOne(name: DecisionName, request: Request<{ id: string }>): Promise<JobRecord> {
    const { id } = request.params;
    const caller = request.caller ?? '';
    const job = await find(id);
    const shown = request.get('If-Match') ?? '*';
    if (shown !== '*' && shown !== entityTag(job)) {
      throw new AppError('conflict', `job ${id} has changed since it was shown: read it again, then decide`);
    }
    const result = await decide(name, job, caller);
    if (!result.moved && result.state) {
      throw new AppError(
        'conflict',
        `job ${id} is ${result.state}; ${name} is for jobs that are ${result.from}`,
      );
    }
    if (result.moved) request.log.info({ job: id, caller }, `job: ${name}`);
    return find(id);
  }

  /** All that the filter lets through when it is asked; those that move meanwhile are left alone. */
  async function decideAll(name: DecisionName, request: Request): Promise<number> {
    const { error, ...filter } = request.query as unknown as JobFilter & { error?: HoldCode };
    const caller = request.caller ?? '';
    let count = 0;
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await store.list({ ...filter, state: DECISIONS[name].from, limit: 500, cursor });
      const chosen = page.jobs.filter(job => isHeldFor(job, error));
      const results = await Promise.all(chosen.map(job => decide(name, job, caller)));
      count += results.filter(result => result.moved).length;
      cursor = page.next;
    }
    request.log.info({ filter, error, count, caller }, `jobs: ${name}`);
    return count;
  }

  async function find(id: string): Promise<JobRecord> {
    const job = await store.get(id);
    if (job) return job;
    throw new AppError('not-found', `there is no job ${id}`);
  }

  const router = Router()
    .get('/jobs', async (request, response) => {
      // Checked and given their defaults by the contract, openapi.yaml.
      const { jobs, next } = await store.list(request.query as unknown as JobFilter);
      response.json({ jobs: jobs.map(toApiJob), next });
    })
    .get('/jobs/:id', async (request, response) => {
      const job = await find(request.params.id);
      response.set('ETag', entityTag(job)).json(toApiJob(job));
    })
    .get('/trigger', async (_request, response) => {
      response.json(await trigger.status());
    });
  for (const name of Object.keys(DECISIONS) as DecisionName[]) {
    router.post(`/jobs/${name}`, async (request, response) => {
      response.status(202).json({ count: await decideAll(name, request) });
    });
    router.post(`/jobs/:id/${name}`, async (request: Request<{ id: string }>, response) => {
      response.status(202).json(toApiJob(await decideOne(name, request)));
    });
  }
  return router;
}

/** Changes whenever what a person decides about may have changed. */
function entityTag({ run, heard }: JobRecord): string {
  return `"${run}.${heard}"`;
}

/** The job as the API shows it. */
export function toApiJob({
  run,
  worker,
  seq,
  facts,
  lifecycles,
  evidence,
  heard,
  saidAt,
  touched,
  approval,
  trace,
  ...job
}: JobRecord): Job {
  return job;
}
