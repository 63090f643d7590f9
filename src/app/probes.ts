import type { Probes } from '../api/routes/health.ts';
import { createMetricsRenderer, type Scrape } from '../api/routes/metrics.ts';
import { queueDepths } from '../api/sqs/queue-depths.ts';
import type { SqsClient } from '../clients/aws/sqs.ts';
import { countJobs } from '../jobs/counts.ts';
import type { ServiceContext } from './context.ts';

/** How each part that this process needs is looked at. @param queues URLs of those that are read */
export function openProbes(
  { settings, clients, redis }: ServiceContext,
  queues: ReadonlySet<string>,
): Probes {
  const { chef, nagios, archive, sqs } = clients;
  return {
    redis: { check: () => redis.check.now(), vital: true, logged: true },
    chef: { check: () => chef.probe(), vital: false },
    ...(nagios && { nagios: { check: () => nagios.probe(), vital: false } }),
    archive: { check: () => archive.probe(), vital: false },
    ...((settings.QUEUE_ID || queues.size > 0) && {
      sqs: { check: () => reach(sqs, queues), vital: false },
    }),
  };
}

/** What `/metrics` tells. @param queues URLs of those that are read */
export function openScrape(
  { settings, log, clients, redis, alerts, metrics }: ServiceContext,
  queues: ReadonlySet<string>,
  certificates: { size: number },
): Scrape {
  const depths = queueDepths(clients.sqs, log);
  return createMetricsRenderer(metrics, {
    jobCounts: () => countJobs(redis.commands, settings.REDIS_PREFIX),
    alerts: () => alerts.counts(),
    certificates: () => certificates.size,
    queues: () => depths(queues),
  });
}

async function reach(sqs: SqsClient, queues: Iterable<string>): Promise<void> {
  for (const url of queues) await sqs.attributes(url, ['QueueArn']);
}
