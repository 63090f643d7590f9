import type { Reason } from './errors.ts';
import type { BadHostSignature, HostSignature } from './host-signature.ts';

/** An Auto Scaling lifecycle action that waits to be completed. */
export interface LifecycleAction {
  group: string;
  hook: string;
  /** Absent where the notice carries none; Auto Scaling then finds the action by the instance. */
  token?: string;
  /** Of the topic or queue where the notice arrived, or as EventBridge names it. */
  region?: string;
  /** Twelve digits. */
  account?: string;
  /** Whether it is only known from a message that any host may have written; Auto Scaling is asked before it is completed. */
  claimed?: boolean;
}

/** What a message says, in our words: everything we understand, in whatever envelope it came. */
export type Event =
  /** A host, or a person in its place, says that it goes or that it must be there. */
  | {
      kind: 'registration';
      method: 'delete' | 'ensure';
      node: string;
      nagiosHost?: string;
      instanceId?: string;
      signature?: HostSignature | BadHostSignature;
      /** Optional fields that were malformed: the event is read as if the message did not have them. */
      dropped?: string[];
    }
  /** A person asks over the API. */
  | {
      kind: 'request';
      method: 'delete' | 'ensure';
      node: string;
      nagiosHost?: string;
      instanceId?: string;
      reason?: string;
      /** Id of the archive to restore from. @default the newest of the node */
      archive?: string;
      runList?: string[];
      environment?: string;
    }
  /** AWS says that an instance has ended or is ending for good. */
  | {
      kind: 'instance-ended';
      notice: string;
      instanceId: string;
      lifecycle?: LifecycleAction;
      /** Why the message alone does not say for sure that the instance ends, for example `StatusCode "X" is not known`. */
      doubt?: string;
    }
  /** AWS will take a Spot instance back in two minutes. */
  | { kind: 'instance-ending'; notice: string; instanceId: string; doubt?: string }
  /** AWS says something of an instance that lives, may come back, or was never there. */
  | { kind: 'harmless'; notice: string; instanceId?: string };

/**
 * Who may write to the place where a message arrived: `aws` is a topic or queue to which only AWS services write,
 * `hosts` one to which hosts may write as well, and `api` the HTTP API, where a token names the writer.
 */
export type Place = 'aws' | 'hosts' | 'api';

/** One delivery of an event: what every road to us can tell of it. */
export interface InboundEvent {
  event: Event;
  source: 'sns' | 'sqs' | 'api';
  place: Place;
  /** The sender's own id of the message; the same for every copy and redelivery of it. */
  messageId: string;
  /** When SNS or SQS took the message, or the API the request. */
  publishedAt: Date;
  /** When the event says that it happened, and never later than `publishedAt`; the order of events follows from it. */
  saidAt: Date;
  /** Who asked, where a person did. */
  requestedBy?: string;
  /** Fingerprint of the Chef client key that signed a host's own message. */
  signedBy?: string;
  /** `traceparent` of its taking in, where traces are kept. */
  trace?: string;
  /** Why it is not acted upon without a person. */
  quarantine?: Reason;
}

/** What decides how far an event is trusted. */
export type InboundFacts = Pick<
  InboundEvent,
  'event' | 'place' | 'saidAt' | 'requestedBy' | 'signedBy' | 'quarantine'
>;
