import { Router } from 'express';
import type { Census } from '../../jobs/counts.ts';
import type { Hour } from '../../jobs/hourly-counts.ts';

export interface SummarySources {
  census: () => Promise<Census>;
  /** So many of the last hours. */
  hours: (count: number) => Promise<Hour[]>;
}

const HOURS = 24;

/** `GET /summary`: how the work stands, and what came in hour by hour. */
export function summaryRoutes(sources: SummarySources): Router {
  return Router().get('/summary', async (_request, response) => {
    const [{ jobs, oldestOpenSeconds }, lastHours] = await Promise.all([
      sources.census(),
      sources.hours(HOURS),
    ]);
    response.json({ jobs: jobs.filter(({ count }) => count > 0), oldestOpenSeconds, hours: lastHours });
  });
}
