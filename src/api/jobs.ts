import { Router } from 'express';
import { AppError } from '../errors.ts';
import type { Job } from '../job.ts';
import type { JobFilter, JobRecord, JobStore } from '../jobs/store.ts';
import type { Trigger } from '../jobs/trigger.ts';

/** What became of the news: `GET /jobs`, `GET /jobs/{id}`, `GET /trigger`. */
export function jobRoutes(store: JobStore, trigger: Trigger): Router {
  return Router()
    .get('/jobs', async (request, response) => {
      // Checked and given their defaults by the contract, openapi.yaml.
      const { jobs, next } = await store.list(request.query as unknown as JobFilter);
      response.json({ jobs: jobs.map(present), next });
    })
    .get('/jobs/:id', async (request, response) => {
      const job = await store.get(request.params.id);
      if (!job) throw new AppError('not-found', `there is no job ${request.params.id}`);
      response.json(present(job));
    })
    .get('/trigger', async (_request, response) => {
      response.json(await trigger.status());
    });
}

function present({ run, seq, facts, lifecycle, ...job }: JobRecord): Job {
  return job;
}
