import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Pool } from 'undici';
import type { Job } from '../../src/domain/job.ts';
import { TOKEN, testEnvironment } from '../../test/support/service.ts';
import { saturate } from '../load.ts';
import type { Calls, Cleared } from './comparator.ts';
import { type MeasuredService, startMeasuredService } from './service.ts';
import type { Termination } from './terminations.ts';

/** The service in several processes: one that takes events, and workers. */
export interface Fleet {
  pids: number[];
  /** Stops the workers, and has all terminations taken in meanwhile. */
  tell: (terminations: Termination[]) => Promise<void>;
  /** Lets the workers go, and waits until the terminations that were announced last are cleared. */
  work: (terminations: Termination[]) => Promise<Cleared>;
  /** Both. */
  clear: (terminations: Termination[]) => Promise<Cleared>;
  stop: () => Promise<void>;
}

const LOOK_EVERY_MS = 500;
const PAGE = 500;
const LONGEST_MS = 120_000;

export async function startFleet(workerCount: number, env: NodeJS.ProcessEnv): Promise<Fleet> {
  const shared = testEnvironment({ ...env, LOG_LEVEL: 'info', MAX_DELETES: '1000000' });
  const door = await startMeasuredService({ ...shared, ROLES: 'api' });
  const workers = await Promise.all(
    Array.from({ length: workerCount }, () => startMeasuredService({ ...shared, ROLES: 'worker,trigger' })),
  );
  const pool = new Pool(door.url, { connections: 16 });
  const redis = new Redis(env['REDIS_URL'] ?? '');
  const authorization = `Bearer ${TOKEN}`;

  async function ask(path: string, body?: object): Promise<string> {
    const response = await pool.request({
      method: body ? 'POST' : 'GET',
      path,
      headers: { authorization, 'content-type': 'application/json' },
      body: body ? JSON.stringify(body) : null,
    });
    const text = await response.body.text();
    if (response.statusCode < 300) return text;
    throw new Error(`${path} answered ${response.statusCode}: ${text}`);
  }

  let done = 0;
  /** Asked of Redis itself, so that looking costs the service nothing. */
  const countIn = (state: Job['state']) => redis.zcard(`${shared['REDIS_PREFIX']}:list:delete:${state}`);

  /** @throws where one of them failed, is held, or takes too long */
  async function settled(): Promise<void> {
    const deadline = Date.now() + LONGEST_MS;
    while ((await countIn('done')) < done) {
      if (Date.now() > deadline) throw new Error(`not done: ${await ask('/jobs?state=retrying&limit=1')}`);
      for (const state of ['failed', 'held'] as const) {
        if ((await countIn(state)) > 0)
          throw new Error(`job ${state}: ${await ask(`/jobs?state=${state}&limit=1`)}`);
      }
      await delay(LOOK_EVERY_MS);
    }
  }

  async function newest(count: number): Promise<Job[]> {
    const jobs: Job[] = [];
    for (let cursor = ''; jobs.length < count; ) {
      const page = JSON.parse(await ask(`/jobs?limit=${PAGE}${cursor && `&cursor=${cursor}`}`));
      jobs.push(...page.jobs);
      cursor = page.next ?? '';
    }
    return jobs.slice(0, count);
  }

  async function tell(terminations: Termination[]): Promise<void> {
    for (const worker of workers) worker.child.kill('SIGSTOP');
    const event = (n: number) => ask('/events', { kind: 'delete', ...terminations[n] });
    await saturate(n => event(n).then(() => {}), { atOnce: 16, seconds: 60, most: terminations.length });
  }

  async function work(terminations: Termination[]): Promise<Cleared> {
    const begun = Date.now();
    for (const worker of workers) worker.child.kill('SIGCONT');
    done += terminations.length;
    await settled();
    const jobs = await newest(terminations.length);
    const failed = jobs.flatMap(job => job.steps).find(({ state }) => state === 'failed');
    if (failed) throw new Error(`a job went on without ${failed.name}: ${failed.note}`);
    const last = (times: (string | null | undefined)[]) =>
      (Math.max(...times.map(time => Date.parse(time ?? ''))) - begun) / 1000;
    return {
      seconds: last(jobs.map(job => stepAt(job, 'verify'))),
      provedSeconds: last(jobs.map(job => job.finishedAt)),
      goneMs: jobs.map(job => Date.parse(stepAt(job, 'delete-node') ?? '') - begun),
      calls: await callsOf(workers),
    };
  }

  return {
    pids: [door, ...workers].map(({ child }) => child.pid ?? 0),
    tell,
    work,
    async clear(terminations) {
      await tell(terminations);
      return work(terminations);
    },
    async stop() {
      redis.disconnect();
      await pool.close();
      await Promise.all([door, ...workers].map(service => service.stop()));
    },
  };
}

export function stepAt(job: Job, name: Job['steps'][number]['name']): string | undefined {
  return job.steps.find(step => step.name === name)?.at;
}

async function callsOf(services: MeasuredService[]): Promise<Calls> {
  const texts = await Promise.all(services.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const of = (service: string) =>
    sum(texts.join('\n'), new RegExp(`^chef_deregistration_calls_total\\{.*service="${service}"`));
  return { chef: of('Chef server'), nagios: of('Nagios') };
}

/** Of all samples of a scrape that match. */
function sum(scrape: string, sample: RegExp): number {
  const found = scrape.split('\n').filter(line => sample.test(line));
  return found.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0);
}
