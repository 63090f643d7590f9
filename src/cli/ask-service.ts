import type { Job } from '../domain/job.ts';
import type { TriggerStatus } from '../jobs/chef-client-run/trigger.ts';
import type { ServiceCommand } from './command-table.ts';
import { type Context, none, type Outcome, only, pages } from './context.ts';
import { decide, look, work } from './jobs.ts';
import { type ArchiveSummary, archiveTable, jobTable } from './show.ts';
import { table, time } from './table.ts';

/** What is asked of a service that runs. */
export const ASK: Record<ServiceCommand, (context: Context) => Promise<Outcome>> = {
  delete: context => {
    const { instance: instanceId, 'nagios-host': nagiosHost, reason } = context.values;
    return work(context, { kind: 'delete', node: only(context, 'a node'), instanceId, nagiosHost, reason });
  },
  ensure: context => {
    const { archive, 'run-list': list, environment, reason } = context.values;
    const runList = typeof list === 'string' ? list.split(',') : undefined;
    return work(context, {
      kind: 'ensure',
      node: only(context, 'a node'),
      archive,
      runList,
      environment,
      reason,
    });
  },
  async jobs(context) {
    none(context);
    const { kind, state, node, instance: instanceId } = context.values;
    const jobs = await pages<Job>(context, 'jobs', { kind, state, node, instanceId });
    return { json: jobs, text: jobTable(jobs) };
  },
  job: context => look(context, only(context, 'the id of a job')),
  approve: context => decide(context, 'approve'),
  discard: context => decide(context, 'discard'),
  retry: context => decide(context, 'retry'),
  async archives(context) {
    const { api, operands, values } = context;
    if (operands.length > 0) {
      const archive = await api(
        'GET',
        `/archives/${encodeURIComponent(only(context, 'the id of an archive'))}`,
      );
      return { json: archive, text: JSON.stringify(archive, null, 2) };
    }
    const archives = await pages<ArchiveSummary>(context, 'archives', { node: values['node'] });
    return { json: archives, text: archiveTable(archives) };
  },
  async trigger(context) {
    none(context);
    const status = await context.api<TriggerStatus>('GET', '/trigger');
    const { state, pendingDeletes, lastRun } = status;
    const how =
      lastRun &&
      `last run ${time(lastRun.startedAt)} to ${time(lastRun.finishedAt)}, exit code ${lastRun.exitCode ?? 'none'}`;
    const text = [
      `${state}, ${pendingDeletes} changes not covered`,
      how ?? 'no run yet',
      lastRun?.output.trimEnd(),
    ];
    return { json: status, text: text.filter(Boolean).join('\n') };
  },
  async health(context) {
    none(context);
    const parts = await context.api<Record<string, string>>('GET', '/readyz', undefined, [503]);
    const rows = Object.entries(parts);
    const bad = rows.some(([, state]) => state !== 'ok');
    return { json: parts, text: table(['PART', 'STATE'], rows), exitCode: bad ? 1 : 0 };
  },
};
