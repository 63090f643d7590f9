import { createApp, createHealthApp } from '../api/app.ts';
import { countedVerify } from '../api/counted-receive.ts';
import { type Health, watchHealth } from '../api/routes/health.ts';
import { type Live, liveStream } from '../api/routes/live.ts';
import type { Scrape } from '../api/routes/metrics.ts';
import { type Listening, listen } from '../api/server.ts';
import { type Poller, startPoller } from '../api/sqs/poller.ts';
import { changesIn } from '../clients/redis/subscribe.ts';
import type { Settings } from '../config.ts';
import { pairNames } from '../domain/pair-names.ts';
import { EventSources } from '../domain/places.ts';
import { countJobs } from '../jobs/counts.ts';
import { lastHours } from '../jobs/hourly-counts.ts';
import { openQueue } from '../jobs/outbox.ts';
import { keepProvisioned, type Pair } from '../provisioning/provision.ts';
import type { ServiceContext } from './context.ts';
import { type Intake, openIntake } from './intake.ts';
import { openProbes, openScrape } from './probes.ts';

/** Starts the roles `api` and `poller`: every way by which messages arrive. */
export async function startServers(context: ServiceContext): Promise<Listening> {
  const { settings, log, shutdown, redis } = context;
  const places = placesOf(settings);
  const intake = openIntake(context, places.topics);
  const health = watchHealth(openProbes(context, places.queues), log);
  // The log tells at the start what cannot be used yet.
  void health();
  const scrape = openScrape(context, places.queues, intake.certificates);
  const live = liveStream(changesIn(redis.commands, settings.REDIS_PREFIX), context.store);
  const app = settings.ROLES.has('api')
    ? openApi(context, intake, places, { health, scrape, live })
    : createHealthApp(health, scrape, log);
  const { HOST: host, PORT: port, TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = settings;
  const tls = certFile && keyFile ? { certFile, keyFile } : undefined;
  const listening = shutdown.add('API', await listen(app, { host, port, tls }, log), server =>
    server.close(),
  );
  // Before the API, which waits for all that is under way.
  shutdown.add('live', live, opened => opened.close());
  const poller = settings.ROLES.has('poller') ? openPoller(context, intake, places) : undefined;
  // After listening: SNS asks the API to confirm as soon as it is subscribed.
  provisionPlaces(context, places, poller);
  return listening;
}

function placesOf(settings: Settings): EventSources {
  const places = new EventSources(pairNames(settings)?.hosts);
  for (const arn of settings.SNS_TOPIC_ARNS) places.addTopic(arn, 'aws');
  for (const arn of settings.HOST_TOPIC_ARNS) places.addTopic(arn, 'hosts');
  for (const { href } of settings.SQS_QUEUE_URLS) places.addQueue(href, 'aws');
  for (const { href } of settings.HOST_QUEUE_URLS) places.addQueue(href, 'hosts');
  return places;
}

function openApi(
  { settings, log, clients, redis, store, dispatcher, trigger, alerts, metrics, tracing }: ServiceContext,
  { verify, receive }: Intake,
  places: EventSources,
  views: { health: () => Promise<Health>; scrape: Scrape; live: Live },
) {
  const { archive, sns } = clients;
  const prefix = settings.REDIS_PREFIX;
  return createApp({
    ...views,
    sns: {
      verify: countedVerify(verify, 'sns', metrics),
      receive,
      confirm: (topicArn, token) => sns.confirmSubscription(topicArn, token),
      raise: alerts.raise,
      topics: places.topics,
      placeOf: places,
    },
    receive,
    store,
    dispatcher,
    trigger,
    archive,
    tracing,
    summary: {
      jobCounts: () => countJobs(redis.commands, prefix),
      hours: count => lastHours(redis.commands, prefix, count),
    },
    openQueue: () => openQueue(redis.commands, prefix),
    tokens: settings.API_TOKENS,
    log,
  });
}

function openPoller(
  { settings, log, shutdown, clients, redis, metrics }: ServiceContext,
  { verify, receive }: Intake,
  places: EventSources,
): Poller {
  const poller = startPoller([...places.queues], {
    sqs: clients.sqs,
    placeOf: places,
    verify: countedVerify(verify, 'sqs', metrics),
    receive,
    ready: () => redis.check.now(),
    keep: settings.DRY_RUN,
    log,
  });
  return shutdown.add('poller', poller, opened => opened.close(), 8_000);
}

function provisionPlaces(
  { settings, log, shutdown, clients: { sns, sqs } }: ServiceContext,
  places: EventSources,
  poller: Poller | undefined,
): void {
  const { ROLES, PROVISION, PUBLIC_URL } = settings;
  const hasApi = ROLES.has('api');
  if (!hasApi && !poller) return;
  const names = pairNames(settings);
  if (!names) {
    log.warn('QUEUE_ID is not set: no topic and no queue of this service’s own');
    return;
  }
  const publicUrl = hasApi ? PUBLIC_URL : undefined;
  for (const writers of ['hosts', 'aws'] as const) {
    const name = names[writers];
    const onReady = ({ topicArn, queueUrl }: Pair) => {
      places.addTopic(topicArn, writers);
      places.addQueue(queueUrl, writers);
      poller?.add(queueUrl);
    };
    const options = { sns, sqs, log, name, writers, create: PROVISION, publicUrl, onReady };
    shutdown.add(`provisioning of ${name}`, keepProvisioned(options), opened => opened.close());
  }
}
