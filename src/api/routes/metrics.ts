import { Router } from 'express';
import type { AlertCounts } from '../../alerts/alerts.ts';
import type { JobCounts } from '../../jobs/counts.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { QueueDepth } from '../sqs/queue-depths.ts';

export interface MetricsSources {
  /** Of Redis, and so the same in every process. */
  jobCounts: () => Promise<JobCounts>;
  alerts: () => AlertCounts;
  /** Signing certificates of SNS that are kept. */
  certificates: () => number;
  /** Of SQS, and so the same in every process. */
  queues: () => QueueDepth[];
}

/** Text of a scrape and its media type. */
export type Scrape = () => Promise<{ type: string; text: string }>;

/** `GET /metrics`, open to everyone: it tells no names of nodes, and answers without Redis, too. */
export function metricsRoutes(scrape: Scrape): Router {
  return Router().get('/metrics', async (_request, response) => {
    const { type, text } = await scrape();
    response.set('Content-Type', type).send(text);
  });
}

/** What this process counted, and what is kept elsewhere and read at each scrape. */
export function createMetricsRenderer(metrics: Metrics, sources: MetricsSources): Scrape {
  const cached = metrics.gauge('signing_certificates', 'Signing certificates of SNS that are kept');
  const readings = [
    jobCountsReading(metrics, sources.jobCounts),
    alertsReading(metrics, sources.alerts),
    queuesReading(metrics, sources.queues),
    () => cached.set(sources.certificates()),
  ];
  return async () => {
    await Promise.all(readings.map(read => read()));
    return { type: metrics.registry.contentType, text: await metrics.registry.metrics() };
  };
}

function jobCountsReading({ gauge }: Metrics, jobCounts: MetricsSources['jobCounts']): () => Promise<void> {
  const up = gauge(
    'redis_up',
    'Whether Redis answered this scrape; without it all that is read from Redis is left out',
  );
  const jobs = gauge('jobs', 'Jobs by state, in Redis: the same in every process, take the max', [
    'kind',
    'state',
  ]);
  const readings = [
    {
      gauge: gauge(
        'oldest_open_job_age_seconds',
        'Since the oldest open job was accepted; 0 where none is open',
      ),
      of: ({ oldestOpenSeconds }: JobCounts) => oldestOpenSeconds,
    },
    {
      gauge: gauge('outbox_jobs', 'Jobs that BullMQ does not have yet'),
      of: ({ outbox }: JobCounts) => outbox,
    },
    {
      gauge: gauge('uncovered_deletions', 'Deletions and restores that no chef-client run has covered'),
      of: ({ trigger }: JobCounts) => trigger.uncovered,
    },
    {
      gauge: gauge('oldest_uncovered_deletion_age_seconds', 'Since the first of them; 0 where there is none'),
      of: ({ trigger }: JobCounts) => trigger.oldestUncoveredSeconds,
    },
    {
      gauge: gauge('trigger_running', 'Whether chef-client runs'),
      of: ({ trigger }: JobCounts) => Number(trigger.running),
    },
    {
      gauge: gauge('trigger_failures', 'Runs of chef-client that failed since the last that did not'),
      of: ({ trigger }: JobCounts) => trigger.failures,
    },
  ];
  return async () => {
    const found = await jobCounts().catch(() => undefined);
    up.set(found ? 1 : 0);
    jobs.reset();
    for (const { kind, state, count } of found?.jobs ?? []) jobs.set({ kind, state }, count);
    for (const reading of readings) {
      if (found) reading.gauge.set(reading.of(found));
      else reading.gauge.remove();
    }
  };
}

function queuesReading({ gauge }: Metrics, queues: MetricsSources['queues']): () => void {
  const waiting = gauge('sqs_messages', 'Messages that wait in a queue, as SQS estimates: take the max', [
    'queue',
  ]);
  const dead = gauge(
    'sqs_dead_letter_messages',
    'Messages that were given up, as SQS estimates: take the max',
    ['queue'],
  );
  return () => {
    for (const each of [waiting, dead]) each.reset();
    for (const { queue, messages, isDeadLetter } of queues()) {
      (isDeadLetter ? dead : waiting).set({ queue }, messages);
    }
  };
}

function alertsReading({ gauge, kept }: Metrics, alerts: MetricsSources['alerts']): () => void {
  const told = kept('alerts_total', 'Alerts: told, or folded because they were told shortly before', [
    'outcome',
  ]);
  const deliveries = kept('alert_deliveries_total', 'What became of alerts at each channel', [
    'channel',
    'outcome',
  ]);
  const waiting = gauge('alerts_waiting', 'Alerts that a channel has not taken yet', ['channel']);

  return () => {
    const { raised, folded, channels } = alerts();
    told([
      { labels: { outcome: 'told' }, value: raised },
      { labels: { outcome: 'folded' }, value: folded },
    ]);
    deliveries(
      Object.entries(channels).flatMap(([channel, { sent, retried, givenUp }]) =>
        Object.entries({ sent, retried, given_up: givenUp }).map(([outcome, value]) => ({
          labels: { channel, outcome },
          value,
        })),
      ),
    );
    waiting.reset();
    for (const [channel, counts] of Object.entries(channels)) waiting.set({ channel }, counts.waiting);
  };
}
