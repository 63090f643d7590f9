import { type Request, Router } from 'express';
import { AppError } from '../errors.ts';
import type { Job, JobState } from '../job.ts';
import type { Dispatcher } from '../jobs/dispatch.ts';
import type { JobFilter } from '../jobs/job-filter.ts';
import type { JobRecord } from '../jobs/record.ts';
import type { JobStore } from '../jobs/store.ts';
import type { Trigger } from '../jobs/trigger.ts';

export interface JobRouteDependencies {
  store: JobStore;
  dispatcher: Dispatcher;
  trigger: Trigger;
}

type Move = Parameters<JobStore['move']>;

/** What a person may do to a job: from which state, to which, and what is noted. */
interface Decision {
  from: JobState;
  to: JobState;
  change: (caller: string, job: JobRecord) => NonNullable<Move[3]>;
}

const DECISIONS = {
  retry: { from: 'failed', to: 'queued', change: () => ({}) },
  approve: { from: 'held', to: 'queued', change: approval },
  discard: {
    from: 'held',
    to: 'failed',
    change: caller => ({
      discarded: true,
      finishedAt: new Date().toISOString(),
      error: { code: 'discarded', message: `discarded by ${caller}` },
    }),
  },
} satisfies Record<string, Decision>;
type DecisionName = keyof typeof DECISIONS;

/** Lets a job pass what it is held for, and what it was let pass before. */
function approval(caller: string, { approvedFor = [], error }: JobRecord): NonNullable<Move[3]> {
  return { approvedBy: caller, approvedFor: [...approvedFor, ...(error ? [error.code] : [])] };
}

/** What became of the news, and what a person decides about it: `/jobs`, `/trigger`. */
export function jobRoutes({ store, dispatcher, trigger }: JobRouteDependencies): Router {
  async function decide(name: DecisionName, job: JobRecord, caller: string) {
    const { from, to, change }: Decision = DECISIONS[name];
    // In the run that was looked at: what it is held for by then is what was decided about.
    const result = await store.move(job, [from], to, change(caller, job));
    if (result.moved) dispatcher.dispatch(result.tokens);
    return { ...result, from };
  }

  async function decideOne(name: DecisionName, request: Request<{ id: string }>): Promise<JobRecord> {
    const { id } = request.params;
    const caller = request.caller ?? '';
    const result = await decide(name, await find(id), caller);
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
    const filter = request.query as unknown as JobFilter;
    const caller = request.caller ?? '';
    let count = 0;
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await store.list({ ...filter, state: DECISIONS[name].from, limit: 500, cursor });
      const results = await Promise.all(page.jobs.map(job => decide(name, job, caller)));
      count += results.filter(result => result.moved).length;
      cursor = page.next;
    }
    request.log.info({ filter, count, caller }, `jobs: ${name}`);
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
      response.json({ jobs: jobs.map(present), next });
    })
    .get('/jobs/:id', async (request, response) => {
      response.json(present(await find(request.params.id)));
    })
    .get('/trigger', async (_request, response) => {
      response.json(await trigger.status());
    });
  for (const name of Object.keys(DECISIONS) as DecisionName[]) {
    router.post(`/jobs/${name}`, async (request, response) => {
      response.status(202).json({ count: await decideAll(name, request) });
    });
    router.post(`/jobs/:id/${name}`, async (request: Request<{ id: string }>, response) => {
      response.status(202).json(present(await decideOne(name, request)));
    });
  }
  return router;
}

/** As the contract has it. */
export function present({ run, worker, seq, facts, lifecycle, publishedAt, trace, ...job }: JobRecord): Job {
  return job;
}
