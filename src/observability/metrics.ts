import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { VERSION } from '../lib/version.ts';

const PREFIX = 'chef_deregistration_';
/** Of single calls and steps, in seconds. */
const SHORT = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];
/** Of jobs and of messages on their way, in seconds; a message may lie in SQS for days. */
const LONG = [0.1, 0.3, 1, 3, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400];

/** An outgoing call, or one attempt of it. */
interface Call {
  /** As messages call it: `Chef server`, `Nagios`, `SQS`. */
  service: string;
  /** HTTP status; undefined where no answer came. */
  status: number | undefined;
}

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * What this process counted since its start. Several processes add up: Prometheus scrapes each and sums.
 * Names: https://prometheus.io/docs/practices/naming/
 */
export function createMetrics() {
  const registry = new Registry();
  // Ten times as rarely as prom-client would: its timer is most of what an idle service does.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: L[], buckets: number[]) =>
    new Histogram({ name: `${PREFIX}${name}`, help, labelNames, buckets, registers });

  const calls = counter('calls_total', 'Attempts at outgoing calls; status is none where no answer came', [
    'service',
    'status',
  ]);
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name: `${PREFIX}${name}`, help, labelNames, registers });
  gauge('build_info', 'Always 1; the label is the version of this release', ['version']).set(
    { version: VERSION },
    1,
  );
  return {
    registry,
    events: counter('events_total', 'News that came in, by the job it asks for and what became of it', [
      'source',
      'kind',
      'outcome',
    ]),
    doubtful: counter(
      'doubtful_events_total',
      'Notices of AWS with a value that this release does not know; AWS is asked about each instance',
      ['source'],
    ),
    quarantineRemoved: counter(
      'quarantine_removed_total',
      'Quarantined messages that were removed undecided, since too many were waiting',
      [],
    ),
    lag: histogram('event_lag_seconds', 'From when news was sent to when Redis had it', ['source'], LONG),
    steps: histogram('step_duration_seconds', 'One attempt at a step', ['step', 'outcome'], SHORT),
    jobs: histogram(
      'job_duration_seconds',
      'From when Redis had the job to its end',
      ['kind', 'outcome'],
      LONG,
    ),
    sinceEvent: histogram(
      'event_to_done_seconds',
      'From when its event was sent to when the job was done',
      ['kind'],
      LONG,
    ),
    triggerRuns: histogram(
      'trigger_run_duration_seconds',
      'Runs of chef-client',
      ['result'],
      [1, 3, 10, 30, 60, 120, 300, 600, 1_800, 3_600],
    ),
    paused: gauge('jobs_paused', 'Whether this process takes no jobs until the part can be used again', [
      'part',
    ]),
    call({ service, status }: Call) {
      calls.inc({ service, status: status ?? 'none' });
    },
    /** A value that is read when somebody asks for it. */
    gauge,
    /** A count that somebody else keeps. */
    kept<L extends string>(name: string, help: string, labelNames: L[] = []) {
      const kept = counter(name, help, labelNames);
      return (values: { labels?: Record<L, string>; value: number }[]) => {
        kept.reset();
        for (const { labels, value } of values) kept.inc(labels ?? ({} as Record<L, string>), value);
      };
    },
  };
}
