import type { Logger } from 'pino';
import { createApp, createHealthApp } from './api/app.ts';
import { countedReceive, countedVerify } from './api/counted.ts';
import type { Probes } from './api/health.ts';
import { type Listening, listen } from './api/listen.ts';
import { liveStream } from './api/live.ts';
import { scraper } from './api/metrics.ts';
import { receiver } from './api/receive.ts';
import { startPoller } from './api/sqs.ts';
import { tracedReceive } from './api/traced.ts';
import { hostGate } from './api/verify-host.ts';
import { snsGate } from './api/verify-sns.ts';
import { archivedKeys } from './clients/archived-keys.ts';
import { SigningCertificates } from './clients/signing-certificate.ts';
import type { SqsClient } from './clients/sqs.ts';
import type { Settings } from './config.ts';
import { describe } from './errors.ts';
import { takeCensus } from './jobs/census.ts';
import { changesIn } from './jobs/changes.ts';
import { openQueue } from './jobs/dispatch.ts';
import { lastHours } from './jobs/hours.ts';
import { nonceRegister } from './jobs/nonces.ts';
import { keepProvisioned } from './provision.ts';
import type { Base } from './service-base.ts';
/** The roles `api` and `poller`: every way by which news comes in. */
export async function openDoors({
  settings,
  log,
  closing,
  clients,
  redis,
  store,
  dispatcher,
  trigger,
  alerts,
  metrics,
  tracing,
}: Base): Promise<Listening> {
  const { chef, nagios, archive, sns, sqs } = clients;
  const hasApi = settings.ROLES.has('api');
  const hasPoller = settings.ROLES.has('poller');
  const ready = () => redis.check.now();
  const topics = new Set(settings.SNS_TOPIC_ARNS);
  const queues = new Set(settings.SQS_QUEUE_URLS.map(url => url.href));
  const certificates = closing.add('certificates of SNS', new SigningCertificates(metrics.call), opened =>
    opened.close(),
  );
  const verify = snsGate({
    topics: () => topics,
    certificateHosts: settings.SNS_CERT_HOSTS,
    certificate: url => certificates.get(url),
  });
  const doubtHost = hostGate({
    required: settings.NODE_SIGNATURES === 'required',
    audiences: audiences(settings),
    keys: client => chef.getClientKeys(client),
    archivedKeys: client => archivedKeys(archive, client),
    claimNonce: nonceRegister(redis.commands, settings.REDIS_PREFIX),
  });
  const receive = tracedReceive(
    countedReceive(receiver(store, dispatcher, doubtHost, log), metrics),
    tracing,
  );
  const probes: Probes = {
    redis: { check: ready, vital: true },
    chef: { check: () => chef.probe(), vital: false },
    ...(nagios && { nagios: { check: () => nagios.probe(), vital: false } }),
    archive: { check: () => archive.probe(), vital: false },
    ...((settings.QUEUE_ID || queues.size > 0) && {
      sqs: { check: () => reach(sqs, queues), vital: false },
    }),
  };
  void tellWhatIsMissing(probes, log);

  const census = () => takeCensus(redis.commands, settings.REDIS_PREFIX);
  const live = liveStream(changesIn(redis.commands, settings.REDIS_PREFIX), store);
  const scrape = scraper(metrics, {
    census,
    alerts: () => alerts.counts(),
    certificates: () => certificates.size,
  });
  const confirm = (topicArn: string, token: string) => sns.confirmSubscription(topicArn, token);
  const app = hasApi
    ? createApp({
        door: { verify: countedVerify(verify, 'sns', metrics), receive, confirm, raise: alerts.raise },
        receive,
        store,
        dispatcher,
        trigger,
        archive,
        probes,
        scrape,
        tracing,
        live,
        summary: { census, hours: count => lastHours(redis.commands, settings.REDIS_PREFIX, count) },
        openQueue: () => openQueue(redis.commands, settings.REDIS_PREFIX),
        tokens: settings.API_TOKENS,
        log,
      })
    : createHealthApp(probes, scrape, log);
  const { HOST: host, PORT: port, TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = settings;
  const tls = certFile && keyFile ? { certFile, keyFile } : undefined;
  const listening = closing.add('API', await listen(app, { host, port, tls }, log), server => server.close());
  // Before the API, which waits for all that is under way.
  closing.add('live', live, opened => opened.close());

  const poller =
    hasPoller &&
    startPoller([...queues], {
      sqs,
      verify: countedVerify(verify, 'sqs', metrics),
      receive,
      ready,
      keep: settings.DRY_RUN,
      log,
    });
  if (poller) closing.add('poller', poller, opened => opened.close(), 8_000);

  // After listening: SNS asks the API to confirm as soon as it is told to push there.
  if (settings.QUEUE_ID && (hasApi || hasPoller)) {
    const keeping = keepProvisioned({
      sns,
      sqs,
      log,
      name: `${settings.QUEUE_NAME}-${settings.QUEUE_ID}`,
      create: settings.PROVISION,
      publicUrl: hasApi ? settings.PUBLIC_URL : undefined,
      onReady({ topicArn, queueUrl }) {
        topics.add(topicArn);
        queues.add(queueUrl);
        if (poller) poller.add(queueUrl);
      },
    });
    closing.add('provisioning', keeping, opened => opened.close());
  } else if (hasApi || hasPoller) {
    log.warn('QUEUE_ID is not set: no topic and no queue of this service’s own');
  }
  return listening;
}

async function reach(sqs: SqsClient, queues: Iterable<string>): Promise<void> {
  for (const url of queues) await sqs.attributes(url, ['QueueArn']);
}

/** The names of topics and queues that a host may have signed its message for. */
function audiences({ QUEUE_NAME, QUEUE_ID, SNS_TOPIC_ARNS, SQS_QUEUE_URLS }: Settings): Set<string> {
  const topics = SNS_TOPIC_ARNS.map(arn => arn.split(':').at(-1) ?? '');
  const queues = SQS_QUEUE_URLS.map(url => url.pathname.split('/').at(-1) ?? '');
  return new Set([...(QUEUE_ID ? [`${QUEUE_NAME}-${QUEUE_ID}`] : []), ...topics, ...queues]);
}

async function tellWhatIsMissing(probes: Probes, log: Logger): Promise<void> {
  for (const [name, { check }] of Object.entries(probes)) {
    const tell = (error: unknown) =>
      log.warn({ part: name, err: describe(error) }, 'not reachable yet; its jobs wait');
    await check().catch(tell);
  }
}
