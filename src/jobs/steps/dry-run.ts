import type { LifecycleResult } from '../../clients/aws/autoscaling.ts';
import { isOurHook } from '../../domain/glob.ts';
import type { JobRecord } from '../record.ts';
import type { Step, Steps } from '../run-steps.ts';
import { type DowntimeDependencies, tolerateMonitorOutage } from './downtime.ts';
import { describeSearch, monitorHosts } from './monitor-host.ts';
import { nodeOf } from './restore-find.ts';

export interface DryDependencies extends DowntimeDependencies {
  stamp: (jobId: string) => Promise<void>;
  lifecycleResult: LifecycleResult;
  lifecycleHooks: readonly string[];
}

/** What the step would do to the job's node now; undefined where it would find nothing to do. */
type Plan = (node: string, job: JobRecord) => Promise<string | undefined> | string | undefined;

/**
 * What each step of a plan does in a dry run: those that only look do so, and all others tell what they would do. It
 * needs clients that refuse changes (see dry-run.ts) only against what is forgotten here.
 */
export function drySteps(real: Steps, dependencies: DryDependencies): Steps {
  const { chef, stamp, lifecycleResult, lifecycleHooks } = dependencies;
  return {
    find: real.find,
    guard: real.guard,
    alert: real.alert,
    downtime: downtime(dependencies),
    archive: would(async node => {
      const snapshot = await chef.snapshot(node);
      const found = [snapshot.node && 'node', snapshot.client && 'client'].filter(Boolean);
      return found.length > 0 ? `save Chef ${found.join(' and ')} ${node} in the archive` : undefined;
    }),
    'delete-client': would(async (node, job) => {
      if (!(await chef.getClient(node))) return undefined;
      await stamp(job.id);
      return `delete Chef client ${node}`;
    }),
    'delete-node': would(async (node, job) => {
      if (!(await chef.getNode(node))) return undefined;
      await stamp(job.id);
      return `delete Chef node ${node}`;
    }),
    verify: would(node => `see that Chef has neither node nor client ${node}`),
    'complete-lifecycle': would((_, { lifecycles }) => {
      const ours = lifecycles.filter(lifecycle => isOurHook(lifecycleHooks, lifecycle));
      if (ours.length === 0) return undefined;
      const hooks = ours.map(({ group, hook }) => `hook ${hook} of ${group}`);
      return `answer ${lifecycleResult} to ${hooks.join(' and ')}`;
    }),
    'confirm-downtime': would(node => `see that the downtime of ${node} stands`),
    'recreate-client': would((_, job) => {
      const { lost, from } = job.facts;
      if (!lost?.client || from?.client === undefined) return undefined;
      return `make Chef client ${nodeOf(job)} with the keys of archive ${from.client}`;
    }),
    'recreate-node': would((_, job) => {
      const { lost, from } = job.facts;
      if (!lost?.node) return lost?.client ? `let client ${nodeOf(job)} save its node` : undefined;
      const source = from?.node === undefined ? 'as the request says' : `as in archive ${from.node}`;
      return `make Chef node ${nodeOf(job)} ${source}`;
    }),
    'cancel-downtime': would((node, { facts }) =>
      facts.lost?.node || facts.lost?.client
        ? `cancel the downtimes that deletions of ${node} set`
        : undefined,
    ),
  };
}

function would(plan: Plan): Step {
  return async job => {
    const what = job.node === null ? undefined : await plan(job.node, job);
    return { state: 'skipped', note: what === undefined ? 'would do nothing' : `would ${what}` };
  };
}

function downtime({ nagios, chef, required }: DowntimeDependencies): Step {
  return async job => {
    if (!nagios) return { state: 'skipped', note: 'NAGIOS_URL is not set' };
    return tolerateMonitorOutage(required, job, async () => {
      const search = { unknown: new Set<string>(), passedOver: [] };
      for await (const host of monitorHosts(job, { nagios, chef }, search)) {
        if (await nagios.showHost(host)) {
          return { state: 'skipped', note: `would ask Nagios for a downtime of ${host} and its services` };
        }
        search.unknown.add(host);
      }
      return { state: 'skipped', note: `would do nothing: ${describeSearch(search) || 'no node'}` };
    });
  };
}
