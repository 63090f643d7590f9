import type { Alerts } from '../alerts/alerts.ts';
import { keepRetention } from '../clients/archive/retention.ts';
import { nodeLocation } from '../clients/chef/node-location.ts';
import { savedKeys } from '../clients/chef/restore.ts';
import { alert } from '../domain/alert.ts';
import { attribute, ohaiTime } from '../domain/chef-node.ts';
import { AppError, describe } from '../domain/errors.ts';
import { deletionBudget } from '../jobs/budget.ts';
import { lockDirectory } from '../jobs/chef-client-run/host-lock.ts';
import { keepJobRetention } from '../jobs/job-retention.ts';
import { Outages } from '../jobs/outages.ts';
import { Zombies } from '../jobs/reappearance.ts';
import type { JobRecord } from '../jobs/record.ts';
import { drySteps } from '../jobs/steps/dry-run.ts';
import { createSteps } from '../jobs/steps/index.ts';
import { lifecycleHeartbeat } from '../jobs/steps/lifecycle.ts';
import { lookForReturn } from '../jobs/steps/return.ts';
import { timedSteps } from '../jobs/steps/timed.ts';
import { tracedSteps } from '../jobs/steps/traced.ts';
import { cancelDowntime, undoEffects } from '../jobs/undo.ts';
import { startWorker } from '../jobs/worker.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { ServiceContext } from './context.ts';

const CONCURRENCY = 64;
/** A job of a worker that was killed goes on this much later, and half as much again at most. */
const LOCK_MS = 10_000;

/** The role `trigger`: the chef-client run after the jobs. @throws SettingsError if its lock can be held by others */
export function startTrigger({ shutdown, trigger }: ServiceContext): void {
  trigger.start(lockDirectory());
  // A run under way gets ten seconds to end after SIGTERM.
  shutdown.add('chef-client trigger', trigger, opened => opened.close(), 12_000);
}

/** The role `worker`: jobs. */
export function startWork(context: ServiceContext): void {
  const {
    settings,
    log,
    shutdown,
    clients,
    redis,
    run,
    store,
    dispatcher,
    trigger,
    alerts,
    metrics,
    tracing,
  } = context;
  const { chef, nagios, archive, autoScaling, ec2 } = clients;
  const reading = { attribute, ohaiTime, instanceAttribute: settings.CHEF_INSTANCE_ATTRIBUTE };
  const zombies = new Zombies({
    redis: redis.commands,
    run,
    prefix: settings.REDIS_PREFIX,
    store,
    dispatcher,
    look: lookForReturn({ chef, ...reading }),
    cancelDowntime: cancelDowntime({ nagios, store }),
    raise: alerts.raise,
    log,
  });
  shutdown.add('zombies', zombies, opened => opened.close());
  zombies.start();
  const budget = deletionBudget(run, {
    maxDeletes: settings.MAX_DELETES,
    windowMinutes: settings.MAX_DELETES_WINDOW_MINUTES,
  });
  const dependencies = {
    ...reading,
    location: nodeLocation,
    savedKeys,
    chef,
    nagios,
    archive,
    autoScaling,
    ec2,
    verifyAll: settings.VERIFY_EC2,
    ownClient: chef.clientName,
    lastSaid: (node: string | null, instanceId: string | null) => store.lastSaid(node, instanceId),
    protectedNodes: settings.PROTECTED_NODES,
    ...budget,
    required: settings.NAGIOS_REQUIRED,
    lifecycleResult: settings.LIFECYCLE_RESULT,
    lifecycleHooks: settings.LIFECYCLE_HOOKS,
    stamp: (jobId: string) => trigger.stamp(jobId),
    expectReturn: (jobId: string) => zombies.expect(jobId),
    raise: alerts.raise,
    downtimeJobs: (job: JobRecord) => store.downtimeJobs(job),
  };
  const realSteps = createSteps(dependencies);
  const steps = settings.DRY_RUN ? drySteps(realSteps, dependencies) : realSteps;
  const vitals = [
    { name: 'chef', probe: () => chef.probe() },
    { name: 'archive', probe: () => archive.probe() },
    ...(nagios && settings.NAGIOS_REQUIRED ? [{ name: 'nagios', probe: () => nagios.probe() }] : []),
  ];
  for (const { name: part } of vitals) metrics.paused.set({ part }, 0);
  const onPause = (part: string, error: unknown) => {
    metrics.paused.set({ part }, 1);
    tellPause(alerts, part, error);
  };
  const onResume = (part: string) => metrics.paused.set({ part }, 0);
  const outages = shutdown.add('outages', new Outages(vitals, log, onPause, onResume), opened =>
    opened.close(),
  );
  const worker = startWorker(
    { prefix: settings.REDIS_PREFIX, concurrency: CONCURRENCY, lockMs: LOCK_MS },
    {
      redis: redis.blocking,
      check: redis.check,
      store,
      dispatcher,
      steps: timedSteps(tracedSteps(steps, tracing), (step, outcome, seconds) =>
        metrics.steps.observe({ step, outcome }, seconds),
      ),
      log,
      outages,
      heartbeat: lifecycleHeartbeat(dependencies),
      stamp: dependencies.stamp,
      undo: undoEffects({ nagios, store, budget }),
      onTrouble: (job, state, { code, message }) =>
        alerts.raise(
          // One alert for all: each of hundreds would say the same.
          isForAll(code)
            ? alert(ALERT_FOR_ALL[code], message)
            : alert(`job-${state}`, message, { ...job, job: job.id }),
        ),
      onSettled(job, state) {
        countJob(metrics, job, state);
        trigger.check();
      },
    },
  );
  shutdown.add('worker', worker, opened => opened.close(), 10_000);
  const jobRetention = keepJobRetention({ store, days: settings.JOB_DAYS, log });
  shutdown.add('job retention', jobRetention, opened => opened.close());
  const days = settings.ARCHIVE_DAYS;
  if (days > 0) {
    const retention = { redis: redis.commands, prefix: settings.REDIS_PREFIX, archive, days, log };
    shutdown.add('retention', keepRetention(retention), opened => opened.close());
  }
}

const ALERT_FOR_ALL = {
  'over-budget': 'too-many-deletions',
  unverified: 'instances-unverified',
} as const;

function isForAll(code: string): code is keyof typeof ALERT_FOR_ALL {
  return Object.hasOwn(ALERT_FOR_ALL, code);
}

function countJob({ jobs, sinceEvent }: Metrics, job: JobRecord, outcome: string): void {
  const secondsSince = (time: number) => Math.max(0, (Date.now() - time) / 1000);
  jobs.observe({ kind: job.kind, outcome }, secondsSince(Date.parse(job.receivedAt)));
  if (outcome === 'done') sinceEvent.observe({ kind: job.kind }, secondsSince(job.saidAt.getTime()));
}

/** A Chef server that refuses who we are needs another person than one that is away. */
function tellPause(alerts: Alerts, part: string, error: unknown): void {
  const refused = part === 'chef' && error instanceof AppError && error.code === 'credentials';
  alerts.raise(
    alert(refused ? 'chef-credentials' : 'jobs-paused', `${part} cannot be used: ${describe(error)}`),
  );
}
