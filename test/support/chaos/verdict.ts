import { readFileSync } from 'node:fs';
import type { Job } from '../../../src/domain/job.ts';
import type { ApiClient } from '../api-client.ts';
import type { HttpProxy } from '../http-proxy.ts';
import type { World } from '../world.ts';
import type { Host } from './terminations.ts';

export interface Evidence {
  world: World;
  api: ApiClient;
  /** What was asked of the Chef server. */
  chef: HttpProxy;
  dead: Host[];
  living: Host[];
  /** Where chef-client's stand-in notes when a run began and ended. */
  runLog: string;
}

/** A service of a host is in downtime with it. */
const SERVICES = 2;

/** Everything that is not as it must be, in words. */
export async function losses(evidence: Evidence): Promise<string[]> {
  const found = await Promise.all([
    inJobs(evidence),
    inChef(evidence),
    inNagios(evidence),
    inArchive(evidence),
    inRuns(evidence),
  ]);
  return found.flat();
}

/** When a run of chef-client began or ended, in order; times in milliseconds. */
export function runMarks(runLog: string): { begins: boolean; at: number }[] {
  const lines = readFileSync(runLog, 'utf8').trim().split('\n');
  return lines.map(line => ({ begins: line.startsWith('begin'), at: Number(line.split(' ')[1]) * 1000 }));
}

/** All jobs there are, newest first. */
export async function allJobs(api: ApiClient): Promise<Job[]> {
  const jobs: Job[] = [];
  for (let cursor = ''; ; ) {
    const { status, body } = await api.request('GET', `/jobs?limit=500${cursor && `&cursor=${cursor}`}`);
    if (status !== 200) throw new Error(`GET /jobs answered ${status}`);
    const page = body as { jobs: Job[]; next: string | null };
    jobs.push(...page.jobs);
    if (page.next === null) return jobs;
    cursor = page.next;
  }
}

async function inJobs({ api, dead }: Evidence): Promise<string[]> {
  const jobs = await allJobs(api);
  const found = dead.flatMap(({ name, instanceId }) => {
    const states = jobs.filter(job => job.instanceId === instanceId).map(({ state }) => state);
    return String(states) === 'done' ? [] : [`${name} has jobs that are: ${states.join(', ') || 'none'}`];
  });
  const others = jobs.filter(job => !dead.some(({ instanceId }) => instanceId === job.instanceId));
  return [...found, ...others.map(({ id, kind }) => `a job for nothing: ${kind} ${id}`)];
}

async function inChef({ world, dead, living }: Evidence): Promise<string[]> {
  const { chef } = world.chef;
  const states = await Promise.all(
    [...dead, ...living].map(async ({ name }) => ({
      name,
      there: [(await chef.getNode(name)) && 'node', (await chef.getClient(name)) && 'client'].filter(Boolean),
    })),
  );
  return states.flatMap(({ name, there }, at) => {
    const wanted = at < dead.length ? 0 : 2;
    return there.length === wanted ? [] : [`Chef has of ${name}: ${there.join(', ') || 'nothing'}`];
  });
}

async function inNagios({ world, dead, living }: Evidence): Promise<string[]> {
  const downtimes = await world.nagios.downtimes();
  return [...dead, ...living].flatMap(({ name }, at) => {
    const of = (type: number) =>
      downtimes.filter(downtime => downtime.host_name === name && downtime.type === type).length;
    const [host, services] = [of(2), of(1)];
    const wanted = at < dead.length ? 1 : 0;
    if (host === wanted && services === wanted * SERVICES) return [];
    return [`Nagios has of ${name} ${host} downtimes of the host and ${services} of its services`];
  });
}

async function inArchive({ api, dead }: Evidence): Promise<string[]> {
  const found = await Promise.all(
    dead.map(async ({ name }) => {
      const { body } = await api.request('GET', `/archives?node=${name}`);
      return (body as { archives: unknown[] }).archives.length > 0 ? [] : [`${name} was not archived`];
    }),
  );
  return found.flat();
}

async function inRuns({ chef, runLog }: Evidence): Promise<string[]> {
  const marks = runMarks(runLog);
  const overlaps = marks.filter(({ begins }, at) => begins === (marks[at - 1]?.begins ?? false)).length;
  const whole = marks.filter(({ begins }, at) => begins && marks[at + 1]?.begins === false);
  const deletions = chef.requests.filter(({ method, status }) => method === 'DELETE' && status === 200);
  const lastDeletion = Math.max(...deletions.map(({ answeredAt = 0 }) => answeredAt));
  const lastRun = whole.at(-1)?.at ?? 0;
  return [
    ...(overlaps > 0 ? [`${overlaps} runs of chef-client overlap another`] : []),
    ...(lastRun > lastDeletion ? [] : ['no run of chef-client began after the last deletion']),
  ];
}
