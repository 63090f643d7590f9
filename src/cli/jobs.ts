import type { Job } from '../domain/job.ts';
import { type Context, type Outcome, pages, query } from './context.ts';
import { CliError, EXIT_CODE } from './error.ts';
import { waitFor } from './progress.ts';
import { jobInFull, jobTable } from './show.ts';

const STATE = { approve: 'held', discard: 'held', retry: 'failed' } as const;

/** Asks for a job. */
export async function work(context: Context, event: object): Promise<Outcome> {
  const { jobId } = await context.api<{ jobId: string }>('POST', '/events', event);
  if (context.values['wait']) return look(context, jobId);
  return {
    json: { jobId },
    text: `job ${jobId} accepted; see: chef-deregistration-manager job ${jobId} --wait`,
  };
}

/** One job, once it has ended where that is waited for. */
export async function look(context: Context, id: string): Promise<Outcome> {
  const { api, values, screen } = context;
  if (!values['wait']) {
    const job = await api<Job>('GET', `/jobs/${encodeURIComponent(id)}`);
    return { json: job, text: jobInFull(job) };
  }
  const jobs = await waitFor(api, [id], screen);
  return { json: jobs[0], text: jobs.map(jobInFull).join('\n'), exitCode: exitCodeOf(jobs) };
}

/** Decides about the jobs that are named, or about all that the filter lets through. */
export async function decide(context: Context, name: keyof typeof STATE): Promise<Outcome> {
  const { api, operands, values } = context;
  if (operands.length > 0 === Boolean(values['all'])) {
    throw new CliError('usage', `${name} takes ids of jobs, or --all and a filter`);
  }
  if (values['all']) return decideAll(context, name);
  const jobs: Job[] = [];
  for (const id of operands) jobs.push(await api<Job>('POST', `/jobs/${encodeURIComponent(id)}/${name}`));
  return values['wait'] ? ended(context, operands) : { json: jobs, text: jobTable(jobs) };
}

async function decideAll(context: Context, name: keyof typeof STATE): Promise<Outcome> {
  const { kind, node, instance: instanceId, reason, wait } = context.values;
  if (name === 'approve' && reason === undefined) {
    throw new CliError('usage', 'approve --all needs --reason CODE: it approves what is held for just that');
  }
  const filter = { kind, node, instanceId };
  const everything = { ...context, values: { limit: String(Number.MAX_SAFE_INTEGER) } };
  const all = wait ? await pages<Job>(everything, 'jobs', { ...filter, state: STATE[name] }) : [];
  const jobs = all.filter(
    ({ reasons = [] }) => reason === undefined || reasons.every(({ code }) => code === reason),
  );
  const answer = await context.api<{ count: number }>(
    'POST',
    `/jobs/${name}?${query({ ...filter, error: reason })}`,
  );
  if (jobs.length > 0)
    return ended(
      context,
      jobs.map(job => job.id),
    );
  return { json: answer, text: `${answer.count} jobs` };
}

async function ended({ api, screen }: Context, ids: string[]): Promise<Outcome> {
  const jobs = await waitFor(api, ids, screen);
  return { json: jobs, text: jobTable(jobs), exitCode: exitCodeOf(jobs) };
}

/** A job that a person gave up did what was asked. */
function exitCodeOf(jobs: Job[]): number {
  if (jobs.some(job => job.state === 'failed')) return EXIT_CODE.refused;
  return jobs.some(job => job.state === 'held') ? EXIT_CODE.held : 0;
}
