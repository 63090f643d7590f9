import { createApp, createHealthApp } from './api/app.ts';
import { countedVerify } from './api/counted.ts';
import type { Probes } from './api/health.ts';
import { type Listening, listen } from './api/listen.ts';
import { type Live, liveStream } from './api/live.ts';
import type { Scrape } from './api/metrics.ts';
import { type Poller, startPoller } from './api/sqs.ts';
import { takeCensus } from './jobs/census.ts';
import { changesIn } from './jobs/changes.ts';
import { openQueue } from './jobs/dispatch.ts';
import { lastHours } from './jobs/hours.ts';
import { keepProvisioned } from './provision.ts';
import type { Base } from './service-base.ts';
import { type Gates, openGates } from './service-gates.ts';
import { openProbes, openScrape, tellWhatIsMissing } from './service-views.ts';

/** Where news may come from; provisioning adds to it. */
interface Places {
  /** ARNs. */
  topics: Set<string>;
  /** URLs. */
  queues: Set<string>;
}

/** The roles `api` and `poller`: every way by which news comes in. */
export async function openDoors(base: Base): Promise<Listening> {
  const { settings, log, closing, redis } = base;
  const places: Places = {
    topics: new Set(settings.SNS_TOPIC_ARNS),
    queues: new Set(settings.SQS_QUEUE_URLS.map(url => url.href)),
  };
  const gates = openGates(base, places.topics);
  const probes = openProbes(base, places.queues);
  void tellWhatIsMissing(probes, log);
  const scrape = openScrape(base, places.queues, gates.certificates);
  const live = liveStream(changesIn(redis.commands, settings.REDIS_PREFIX), base.store);
  const app = settings.ROLES.has('api')
    ? openApi(base, gates, { probes, scrape, live })
    : createHealthApp(probes, scrape, log);
  const { HOST: host, PORT: port, TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = settings;
  const tls = certFile && keyFile ? { certFile, keyFile } : undefined;
  const listening = closing.add('API', await listen(app, { host, port, tls }, log), server => server.close());
  // Before the API, which waits for all that is under way.
  closing.add('live', live, opened => opened.close());
  const poller = settings.ROLES.has('poller') ? openPoller(base, gates, places.queues) : undefined;
  // After listening: SNS asks the API to confirm as soon as it is told to push there.
  provisionPlaces(base, places, poller);
  return listening;
}

function openApi(
  { settings, log, clients, redis, store, dispatcher, trigger, alerts, metrics, tracing }: Base,
  { verify, receive }: Gates,
  views: { probes: Probes; scrape: Scrape; live: Live },
) {
  const { archive, sns } = clients;
  const prefix = settings.REDIS_PREFIX;
  return createApp({
    ...views,
    door: {
      verify: countedVerify(verify, 'sns', metrics),
      receive,
      confirm: (topicArn, token) => sns.confirmSubscription(topicArn, token),
      raise: alerts.raise,
    },
    receive,
    store,
    dispatcher,
    trigger,
    archive,
    tracing,
    summary: {
      census: () => takeCensus(redis.commands, prefix),
      hours: count => lastHours(redis.commands, prefix, count),
    },
    openQueue: () => openQueue(redis.commands, prefix),
    tokens: settings.API_TOKENS,
    log,
  });
}

function openPoller(
  { settings, log, closing, clients, redis, metrics }: Base,
  { verify, receive }: Gates,
  queues: ReadonlySet<string>,
): Poller {
  const poller = startPoller([...queues], {
    sqs: clients.sqs,
    verify: countedVerify(verify, 'sqs', metrics),
    receive,
    ready: () => redis.check.now(),
    keep: settings.DRY_RUN,
    log,
  });
  return closing.add('poller', poller, opened => opened.close(), 8_000);
}

function provisionPlaces(
  { settings, log, closing, clients }: Base,
  places: Places,
  poller: Poller | undefined,
): void {
  const { ROLES, QUEUE_ID, QUEUE_NAME, PROVISION, PUBLIC_URL } = settings;
  const hasApi = ROLES.has('api');
  if (!hasApi && !poller) return;
  if (!QUEUE_ID) {
    log.warn('QUEUE_ID is not set: no topic and no queue of this service’s own');
    return;
  }
  const keeping = keepProvisioned({
    sns: clients.sns,
    sqs: clients.sqs,
    log,
    name: `${QUEUE_NAME}-${QUEUE_ID}`,
    create: PROVISION,
    publicUrl: hasApi ? PUBLIC_URL : undefined,
    onReady({ topicArn, queueUrl }) {
      places.topics.add(topicArn);
      places.queues.add(queueUrl);
      poller?.add(queueUrl);
    },
  });
  closing.add('provisioning', keeping, opened => opened.close());
}
