import { countedReceive } from './api/counted.ts';
import { type Receive, receiver } from './api/receive.ts';
import { tracedReceive } from './api/traced.ts';
import { hostGate } from './api/verify-host.ts';
import { snsGate, type VerifySns } from './api/verify-sns.ts';
import { archivedKeys } from './clients/archived-keys.ts';
import { SigningCertificates } from './clients/signing-certificate.ts';
import type { Settings } from './config.ts';
import { nonceRegister } from './jobs/nonces.ts';
import type { Base } from './service-base.ts';

/** What all news passes, whichever way it comes in. */
export interface Gates {
  verify: VerifySns;
  receive: Receive;
  certificates: SigningCertificates;
}

/** @param topics ARNs of those that are believed; more may become known later */
export function openGates(base: Base, topics: ReadonlySet<string>): Gates {
  const { settings, log, closing, store, dispatcher, metrics, tracing } = base;
  const certificates = closing.add('certificates of SNS', new SigningCertificates(metrics.call), opened =>
    opened.close(),
  );
  const verify = snsGate({
    topics: () => topics,
    certificateHosts: settings.SNS_CERT_HOSTS,
    certificate: url => certificates.get(url),
  });
  const receive = receiver(store, dispatcher, gateOfHosts(base), log);
  return { verify, receive: tracedReceive(countedReceive(receive, metrics), tracing), certificates };
}

function gateOfHosts({ settings, clients, redis, store }: Base) {
  const { chef, archive } = clients;
  return hostGate({
    required: settings.NODE_SIGNATURES === 'required',
    audiences: audiences(settings),
    keys: client => chef.getClientKeys(client),
    archivedKeys: client => archivedKeys(archive, client),
    deletionAskedBy: async node => (await store.lastSaid(node, null)).by || undefined,
    claimNonce: nonceRegister(redis.commands, settings.REDIS_PREFIX),
  });
}

/** The names of topics and queues that a host may have signed its message for. */
function audiences({ QUEUE_NAME, QUEUE_ID, SNS_TOPIC_ARNS, SQS_QUEUE_URLS }: Settings): Set<string> {
  const topics = SNS_TOPIC_ARNS.map(arn => arn.split(':').at(-1) ?? '');
  const queues = SQS_QUEUE_URLS.map(url => url.pathname.split('/').at(-1) ?? '');
  return new Set([...(QUEUE_ID ? [`${QUEUE_NAME}-${QUEUE_ID}`] : []), ...topics, ...queues]);
}
