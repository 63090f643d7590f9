import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Aws } from './aws.ts';
import { type CertificateAuthority, makeCertificateAuthority } from './certificates.ts';
import { type SigningCertificates, serveSigningCertificates } from './signing-certificates.ts';
import { type Delivered, type DeliveryOptions, deliver, isRetried } from './sns-delivery.ts';
import { type Signing, type SnsMessage, signMessage, type UnsignedSnsMessage } from './sns-message.ts';
import { enqueue, type Subscription, subscriptionsOf } from './sns-subscriptions.ts';

export interface SnsPublisherOptions {
  topicArn: string;
  /** Where the topic's subscriptions and queues are; without it only `endpoints` get what is published. */
  aws?: Aws;
  /** HTTP(S) endpoints that count as subscribed. */
  endpoints?: string[];
  /** Deliveries of one message to one endpoint after the first failed; SNS makes 3. */
  retries?: number;
  /** SNS waits 20 seconds between them. @default these parts 100 ms */
  retryDelayMs?: number;
  /** How long an endpoint may take to answer; SNS gives it 15 seconds. */
  timeoutMs?: number;
}

export type EnvelopeOptions = Partial<UnsignedSnsMessage> & Partial<Signing>;

/** What became of a message at one subscription. */
interface Published {
  subscription: Subscription;
  attempts: number;
  /** The last answer; none from a queue, or where no attempt was answered. */
  answer?: Delivered;
}

export interface SnsPublisher {
  readonly topicArn: string;
  readonly authority: CertificateAuthority;
  readonly certificates: SigningCertificates;
  /** `localhost:PORT`, for SNS_CERT_HOSTS. */
  readonly certHost: string;
  /** PEM file, for NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
  /** URL of the certificate that messages name by default otherwise. */
  readonly certUrl: string;
  sign(message: UnsignedSnsMessage, signing?: Partial<Signing>): SnsMessage;
  /** A signed notification of a text, or of an object as JSON. */
  envelope(body: unknown, options?: EnvelopeOptions): SnsMessage;
  /** What SNS sends after Subscribe (the token of fauxqs is the subscription's ARN) and after Unsubscribe. */
  confirmation(
    type: 'SubscriptionConfirmation' | 'UnsubscribeConfirmation',
    token: string,
    options?: EnvelopeOptions,
  ): SnsMessage;
  deliver(message: SnsMessage, endpoint: string, options?: DeliveryOptions): Promise<Delivered>;
  /** Asks each HTTP(S) endpoint whose subscription waits for it to confirm. */
  requestConfirmations(): Promise<Published[]>;
  /** Delivers one message, under one MessageId, to every confirmed subscription. */
  publish(body: unknown, options?: EnvelopeOptions): Promise<Published[]>;
  /** Publishes to another topic, with the same certificates; stopping one stops both. */
  on(topicArn: string): SnsPublisher;
  stop(): Promise<void>;
}

/** An SNS that signs and delivers over HTTP(S), which no emulator does; topics and subscriptions stay the emulator's. */
export async function startSnsPublisher(options: SnsPublisherOptions): Promise<SnsPublisher> {
  const authority = await makeCertificateAuthority();
  const [signer, certificates] = await Promise.all([
    authority.issue({ commonName: 'sns.amazonaws.com' }),
    serveSigningCertificates(authority),
  ]);
  const certUrl = certificates.serve(signer.certificate);
  const signed = { authority, certificates, certUrl, key: signer.key };
  return publisherOn(options.topicArn, options, signed);
}

interface Signed {
  authority: CertificateAuthority;
  certificates: SigningCertificates;
  certUrl: string;
  key: string;
}

function publisherOn(topicArn: string, options: SnsPublisherOptions, signed: Signed): SnsPublisher {
  const { aws, retries = 3, retryDelayMs = 100 } = options;
  const { authority, certificates, certUrl } = signed;
  const region = topicArn.split(':')[3];
  const api = `https://sns.${region}.amazonaws.com/`;

  const sign: SnsPublisher['sign'] = (
    message,
    { version = '1', key = signed.key, certUrl: url = certUrl } = {},
  ) => signMessage(message, { version, key, certUrl: url });

  const build = (
    message: Omit<UnsignedSnsMessage, 'MessageId' | 'TopicArn' | 'Timestamp'>,
    given: EnvelopeOptions,
  ) => {
    const { version, key, certUrl: url, ...fields } = given;
    return sign(
      {
        MessageId: randomUUID(),
        TopicArn: topicArn,
        Timestamp: new Date().toISOString(),
        ...message,
        ...fields,
      },
      { ...(version && { version }), ...(key && { key }), ...(url && { certUrl: url }) },
    );
  };

  const envelope: SnsPublisher['envelope'] = (body, given = {}) =>
    build({ Type: 'Notification', Message: typeof body === 'string' ? body : JSON.stringify(body) }, given);

  const confirmation: SnsPublisher['confirmation'] = (type, token, given = {}) =>
    build(
      {
        Type: type,
        Message: `You have chosen to ${type === 'SubscriptionConfirmation' ? 'subscribe to the topic' : 'deactivate a subscription of'} ${topicArn}.\nVisit the SubscribeURL included in this message.`,
        Token: token,
        SubscribeURL: `${api}?Action=ConfirmSubscription&TopicArn=${topicArn}&Token=${token}`,
      },
      given,
    );

  const send = async (message: SnsMessage, subscription: Subscription): Promise<Published> => {
    const { arn, endpoint, raw } = subscription;
    for (let attempts = 1; ; attempts++) {
      const answer = await deliver(message, endpoint, {
        subscriptionArn: arn,
        raw,
        ca: authority.certificate,
        timeoutMs: options.timeoutMs ?? 15_000,
      }).catch(() => undefined);
      if (answer && !isRetried(answer.status)) return { subscription, attempts, answer };
      if (attempts > retries) return { subscription, attempts, ...(answer && { answer }) };
      await delay(retryDelayMs);
    }
  };

  const subscriptions = async (): Promise<Subscription[]> => [
    ...(aws ? await subscriptionsOf(aws, topicArn) : []),
    ...(options.endpoints ?? []).map((endpoint, at) => ({
      arn: `${topicArn}:endpoint-${at}`,
      protocol: new URL(endpoint).protocol.slice(0, -1),
      endpoint,
      pending: false,
      raw: false,
    })),
  ];

  return {
    topicArn,
    authority,
    certificates,
    certHost: certificates.host,
    caFile: authority.file,
    certUrl,
    sign,
    envelope,
    confirmation,
    deliver: (message, endpoint, given) =>
      deliver(message, endpoint, { ca: authority.certificate, ...given }),
    requestConfirmations: async () => {
      const waiting = (await subscriptions()).filter(({ pending }) => pending);
      return Promise.all(waiting.map(each => send(confirmation('SubscriptionConfirmation', each.arn), each)));
    },
    publish: async (body, given) => {
      const message = envelope(body, given);
      const confirmed = (await subscriptions()).filter(({ pending }) => !pending);
      return Promise.all(
        confirmed.map(async subscription => {
          const mine = {
            ...message,
            UnsubscribeURL: `${api}?Action=Unsubscribe&SubscriptionArn=${subscription.arn}`,
          };
          if (subscription.protocol !== 'sqs') return send(mine, subscription);
          if (aws) await enqueue(aws, mine, subscription);
          return { subscription, attempts: 1 };
        }),
      );
    },
    on: other => publisherOn(other, options, signed),
    stop: () => certificates.stop(),
  };
}
