import { Router } from 'express';
import type { JobCounts } from '../../jobs/counts.ts';
import type { Hour } from '../../jobs/hourly-counts.ts';
import { VERSION } from '../../lib/version.ts';

export interface SummarySources {
  jobCounts: () => Promise<JobCounts>;
  /** So many of the last hours. */
  hours: (count: number) => Promise<Hour[]>;
}

const HOURS = 24;

/** `GET /summary`: how the work stands, and what came in hour by hour. */
export function summaryRoutes(sources: SummarySources): Router {
  return Router().get('/summary', async (_request, response) => {
    const [{ jobs, oldestOpenSeconds }, lastHours] = await Promise.all([
      sources.jobCounts(),
      sources.hours(HOURS),
    ]);
    const shown = jobs.filter(({ count }) => count > 0);
    response.json({ version: VERSION, jobs: shown, oldestOpenSeconds, hours: lastHours });
  });
}
