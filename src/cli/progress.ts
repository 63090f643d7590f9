import { setTimeout as delay } from 'node:timers/promises';
import { type Job, OPEN_STATES } from '../domain/job.ts';
import { plan } from '../domain/plan.ts';
import type { CallApi } from './api.ts';
import { CliError } from './error.ts';

const INTERVAL_MS = 250;
const WIDTH = 24;

/** Where progress is shown: stderr, so that stdout stays what was asked for. */
export interface Screen {
  write: (text: string) => unknown;
  isTTY?: boolean;
}

/**
 * Waits until all jobs have ended or wait for a person: a bar on a terminal, elsewhere a line for each step. A service
 * that cannot be reached for a moment is asked again.
 */
export async function waitFor(api: CallApi, ids: string[], screen: Screen): Promise<Job[]> {
  const jobs = new Map<string, Job>();
  const told = new Set<string>();
  for (let failures = 0; ; await delay(INTERVAL_MS)) {
    try {
      for (const id of ids)
        if (isOpen(jobs.get(id))) jobs.set(id, await api('GET', `/jobs/${encodeURIComponent(id)}`));
      failures = 0;
    } catch (error) {
      const away = error instanceof CliError && error.kind === 'unreachable';
      if (!away || ++failures > 20) throw error;
      continue;
    }
    const all = [...jobs.values()];
    if (screen.isTTY) draw(screen, ...progressOf(all));
    else for (const line of news(all, told)) screen.write(`${line}\n`);
    if (!all.some(isOpen)) {
      if (screen.isTTY) screen.write('\n');
      return all;
    }
  }
}

function isOpen(job: Job | undefined): boolean {
  return !job || OPEN_STATES.some(state => state === job.state);
}

/** A bar for what is done one by one, on a terminal only; it ends its line when all is done. */
export function countingBar(screen: Screen, what: string): (done: number, total: number) => void {
  return (done, total) => {
    if (!screen.isTTY) return;
    draw(screen, done, total, `${done} of ${total} ${what}`);
    if (done === total) screen.write('\n');
  };
}

function draw(screen: Screen, done: number, total: number, about: string): void {
  const part = done / Math.max(1, total);
  const filled = Math.round(WIDTH * part);
  const bar = `[${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}]`;
  screen.write(`\r${bar} ${Math.round(100 * part)} %  ${about}\u001b[K`);
}

/** Steps that are done, how many there are, and what to say of the jobs. */
function progressOf(jobs: Job[]): [number, number, string] {
  const steps = jobs.map(job => ({
    of: plan(job).length,
    done: isOpen(job) ? passed(job) : plan(job).length,
  }));
  const total = steps.reduce((sum, each) => sum + each.of, 0);
  const done = steps.reduce((sum, each) => sum + Math.min(each.done, each.of), 0);
  const ended = jobs.filter(job => !isOpen(job)).length;
  const [first] = jobs;
  const about =
    jobs.length === 1 && first
      ? `${first.state} ${first.steps.at(-1)?.name ?? ''}`
      : `${ended} of ${jobs.length} jobs`;
  return [done, total, about];
}

function passed(job: Job): number {
  return job.steps.filter(step => step.state !== 'failed').length;
}

function news(jobs: Job[], told: Set<string>): string[] {
  const lines = jobs.flatMap(job => {
    const name = job.node ?? job.instanceId ?? job.id;
    const steps = job.steps.map(
      step => `${name}: ${step.name} ${step.state}${step.note ? ` – ${step.note}` : ''}`,
    );
    return isOpen(job) ? steps : [...steps, `${name}: job ${job.state}`];
  });
  return lines.filter(line => !told.has(line) && told.add(line));
}
