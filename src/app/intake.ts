import { countedReceive } from '../api/counted-receive.ts';
import { archivedKeys } from '../api/host/archived-keys.ts';
import { nonceRegister } from '../api/host/nonces.ts';
import { createHostVerifier } from '../api/host/verify.ts';
import { createReceive, type Receive } from '../api/receive.ts';
import { SigningCertificates } from '../api/sns/signing-certificates.ts';
import { createSnsVerifier, type VerifySns } from '../api/sns/verify.ts';
import { tracedReceive } from '../api/traced-receive.ts';
import type { Settings } from '../config.ts';
import { alert } from '../domain/alert.ts';
import { pairNames } from '../domain/pair-names.ts';
import type { EventSources } from '../domain/places.ts';
import { queueNameOf } from '../domain/queue-url.ts';
import type { RemovedFromQuarantine } from '../jobs/store.ts';
import type { ServiceContext } from './context.ts';

/** What every message passes, whichever way it arrives. */
export interface Intake {
  verify: VerifySns;
  receive: Receive;
  certificates: SigningCertificates;
}

/** @param topics ARNs of those whose messages are accepted; provisioning may add to them */
export function openIntake(context: ServiceContext, topics: EventSources['topics']): Intake {
  const { settings, log, shutdown, store, dispatcher, metrics, tracing, alerts } = context;
  const certificates = shutdown.add('certificates of SNS', new SigningCertificates(metrics.call), opened =>
    opened.close(),
  );
  const verify = createSnsVerifier({
    topics: () => topics,
    certificateHosts: settings.SNS_CERT_HOSTS,
    certificate: url => certificates.get(url),
  });
  const receive = createReceive(store, dispatcher, hostVerifier(context), log, removed => {
    metrics.quarantineRemoved.inc(removed.length);
    alerts.raise(alert('quarantine-full', describeRemoved(removed)));
  });
  return { verify, receive: tracedReceive(countedReceive(receive, metrics), tracing), certificates };
}

function hostVerifier({ settings, clients, redis, store }: ServiceContext) {
  const { chef, archive } = clients;
  return createHostVerifier({
    required: settings.NODE_SIGNATURES === 'required',
    audiences: audiences(settings),
    keys: client => chef.getClientKeys(client),
    archivedKeys: client => archivedKeys(archive, client),
    deletionAskedBy: async node => (await store.lastSaid(node, null)).by || undefined,
    claimNonce: nonceRegister(redis.commands, settings.REDIS_PREFIX),
  });
}

/** The names of topics and queues that a host may have signed its message for. */
function audiences(settings: Settings): Set<string> {
  const topics = [...settings.HOST_TOPIC_ARNS, ...settings.SNS_TOPIC_ARNS];
  const queues = [...settings.HOST_QUEUE_URLS, ...settings.SQS_QUEUE_URLS];
  const names = pairNames(settings);
  return new Set([
    ...(names ? [names.hosts] : []),
    ...topics.map(arn => arn.split(':').at(-1) ?? ''),
    ...queues.map(({ href }) => queueNameOf(href)),
  ]);
}

function describeRemoved(removed: RemovedFromQuarantine[]): string {
  const [first] = removed;
  const about = first?.node ? `node ${first.node}` : `instance ${first?.instanceId ?? 'unknown'}`;
  return `too many messages without proof of their sender wait for a decision (at most 10 for one node and 10,000 in all are kept), so the oldest were removed, the first about ${about} (${first?.code}); the log names each`;
}
