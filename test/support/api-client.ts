import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from '../../src/domain/job.ts';
import type { TriggerStatus } from '../../src/jobs/chef-client-run/trigger.ts';
import { until } from './process.ts';
import { TOKEN } from './service.ts';

/** The service's API as a person uses it. */
export interface ApiClient {
  request: (method: string, path: string, body?: unknown) => Promise<{ status: number; body: unknown }>;
  /** Asks for a deletion or restore; the job's id. */
  event: (body: object) => Promise<string>;
  job: (id: string) => Promise<Job>;
  jobs: (query?: string) => Promise<Job[]>;
  trigger: () => Promise<TriggerStatus>;
  /** Waits until a job is `done`, by default another state. */
  finished: (id: string, state?: Job['state']) => Promise<Job>;
  /** Waits until every job is in one of the states. */
  settled: (states?: Job['state'][], timeoutMs?: number) => Promise<Job[]>;
}

export function apiClient(url: string): ApiClient {
  const request: ApiClient['request'] = async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : undefined };
  };
  const get = async <T>(path: string) => {
    const { status, body } = await request('GET', path);
    if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${JSON.stringify(body)}`);
    return body as T;
  };
  const jobs: ApiClient['jobs'] = async (query = 'limit=500') =>
    (await get<{ jobs: Job[] }>(`/jobs?${query}`)).jobs;
  const job: ApiClient['job'] = id => get(`/jobs/${id}`);
  return {
    request,
    job,
    jobs,
    async finished(id, state = 'done') {
      let found: Job | undefined;
      const isFinished = async () => {
        found = await job(id);
        return found.state === state && found;
      };
      return until(`job ${id} to be ${state}`, isFinished).catch(error => {
        throw new Error(`${error.message}; it is ${JSON.stringify(found)}`, { cause: error });
      });
    },
    async event(event) {
      const { status, body } = await request('POST', '/events', event);
      if (status !== 202) throw new Error(`POST /events answered ${status}: ${JSON.stringify(body)}`);
      return (body as { jobId: string }).jobId;
    },
    trigger: () => get('/trigger'),
    async settled(states = ['done'], timeoutMs = 45_000) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const all = await jobs();
        if (all.length > 0 && all.every(job => states.includes(job.state))) return all;
        if (Date.now() > deadline) throw new Error(`jobs did not settle: ${JSON.stringify(all, null, 1)}`);
        await delay(50);
      }
    },
  };
}
