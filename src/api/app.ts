import { randomUUID } from 'node:crypto';
import type { Queue } from 'bullmq';
import express, { type Express } from 'express';
import { middleware as openApiValidator } from 'express-openapi-validator';
import type { Logger } from 'pino';
import type { Archive } from '../clients/archive/archive.ts';
import type { Trigger } from '../jobs/chef-client-run/trigger.ts';
import type { Dispatcher } from '../jobs/outbox.ts';
import type { JobStore } from '../jobs/store.ts';
import type { Tracing } from '../observability/tracing.ts';
import { identify, requireCaller } from './auth.ts';
import { notFound, problems } from './problem.ts';
import type { Receive } from './receive.ts';
import { archiveRoutes } from './routes/archives.ts';
import { pageRoutes } from './routes/dashboard.ts';
import { eventRoutes } from './routes/events.ts';
import { type Health, healthRoutes } from './routes/health.ts';
import { jobRoutes } from './routes/jobs.ts';
import { type Live, liveRoutes } from './routes/live.ts';
import { metricsRoutes, type Scrape } from './routes/metrics.ts';
import { QUEUES, queueBoard, tokenOfCookie } from './routes/queues.ts';
import { type SummarySources, summaryRoutes } from './routes/summary.ts';
import { type SnsEndpoint, snsRoutes } from './sns/endpoint.ts';
import { tracedRequests } from './traced-receive.ts';

declare module 'express-serve-static-core' {
  interface Request {
    id: string;
    log: Logger;
    /** Name of the token that the request carries, on guarded routes. */
    caller?: string;
  }
}

export interface ApiDependencies {
  sns: SnsEndpoint;
  receive: Receive;
  store: JobStore;
  dispatcher: Dispatcher;
  trigger: Trigger;
  archive: Archive;
  health: () => Promise<Health>;
  scrape: Scrape;
  tracing: Tracing;
  live: Live;
  summary: SummarySources;
  /** BullMQ's queue, to be looked at. */
  openQueue: () => Queue;
  tokens: ReadonlyMap<string, string>;
  log: Logger;
}

const CONTRACT = new URL('../../openapi.yaml', import.meta.url).pathname;

/** The whole HTTP interface; openapi.yaml is its contract and checks every request to it but the body of `POST /sns`. */
export function createApp({
  sns,
  receive,
  store,
  dispatcher,
  trigger,
  archive,
  health,
  scrape,
  tracing,
  live,
  summary,
  openQueue,
  tokens,
  log,
}: ApiDependencies): Express {
  const app = bareApp(log);
  app.use(['/sns', '/events'], tracedRequests(tracing));
  app.use(snsRoutes(sns));
  app.use(healthRoutes(health));
  app.use(metricsRoutes(scrape));
  app.use(pageRoutes());
  app.use(QUEUES, tokenOfCookie);
  app.use(identify(tokens));
  app.use(QUEUES, queueBoard(openQueue));
  app.use(express.json({ limit: '64kb' }));
  app.use(
    openApiValidator({
      apiSpec: CONTRACT,
      validateApiSpec: false,
      fileUploader: false,
      ignoreUndocumented: false,
      validateSecurity: {
        handlers: {
          token: request => requireCaller(request, tokens),
        },
      },
    }),
  );
  app.use(eventRoutes(receive, archive, store));
  app.use(jobRoutes({ store, dispatcher, trigger }));
  app.use(archiveRoutes(archive));
  app.use(summaryRoutes(summary));
  app.use(liveRoutes(live));
  return closed(app);
}

/** What a process without the API answers: only whether it lives and is ready, and its metrics. */
export function createHealthApp(health: () => Promise<Health>, scrape: Scrape, log: Logger): Express {
  return closed(bareApp(log).use(healthRoutes(health), metricsRoutes(scrape)));
}

function bareApp(log: Logger): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use((request, response, next) => {
    request.id = randomUUID();
    request.log = log.child({ requestId: request.id });
    response.set({
      'X-Request-Id': request.id,
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
      ...(request.secure && { 'Strict-Transport-Security': 'max-age=31536000' }),
    });
    next();
  });
  return app;
}

function closed(app: Express): Express {
  return app.use(notFound).use(problems);
}
