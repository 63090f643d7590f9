import type { Job } from '../domain/job.ts';
import { table, time } from './table.ts';

export interface ArchiveSummary {
  id: string;
  node: string;
  savedAt: string;
  job: string;
  requestedBy?: string;
}

export function jobTable(jobs: Job[]): string {
  if (jobs.length === 0) return 'no jobs';
  const rows = jobs.map(job => [
    job.id,
    job.kind,
    job.state,
    job.node ?? '–',
    job.instanceId ?? '–',
    job.source,
    time(job.receivedAt),
    job.error?.message ?? '',
  ]);
  return table(['ID', 'KIND', 'STATE', 'NODE', 'INSTANCE', 'BY', 'RECEIVED', ''], rows);
}

export function jobInFull(job: Job): string {
  const facts: [string, string | null | undefined][] = [
    ['job', job.id],
    ['kind', job.kind],
    ['state', job.state],
    ['node', job.node],
    ['instance', job.instanceId],
    ['requested by', job.requestedBy ? `${job.source}, ${job.requestedBy}` : job.source],
    ['approved by', job.approvedBy],
    ['received', time(job.receivedAt)],
    ['finished', job.finishedAt && time(job.finishedAt)],
    ['attempts', String(job.attempts)],
    ['error', job.error && `${job.error.code}: ${job.error.message}`],
  ];
  const known = facts.flatMap(([name, value]) => (value ? [`${name.padEnd(12)} ${value}`] : []));
  const steps = job.steps.map(step => [step.name, step.state, time(step.at), step.note ?? '']);
  return [...known, ...(steps.length > 0 ? ['', table(['STEP', 'STATE', 'AT', ''], steps)] : [])].join('\n');
}

export function archiveTable(archives: ArchiveSummary[]): string {
  if (archives.length === 0) return 'no archives';
  const rows = archives.map(({ id, node, savedAt, job }) => [id, node, time(savedAt), job]);
  return table(['ID', 'NODE', 'SAVED', 'JOB'], rows);
}
