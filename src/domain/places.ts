import type { Place } from './event.ts';
import { queueIdentity, queueNameOf } from './queue-url.ts';

/** Who writes to a topic or queue: only AWS services, or hosts as well. */
export type Writers = Exclude<Place, 'api'>;

/** What must be known of a topic or queue to judge a message that arrived there. */
export interface PlaceOf {
  ofTopic: (arn: string) => Writers;
  ofQueue: (url: string) => Writers;
}

/** The topics and queues of this installation; provisioning adds to them while the service runs. */
export class EventSources implements PlaceOf {
  /** URLs of the queues to poll. */
  readonly queues = new Set<string>();
  readonly #topics = new Map<string, Writers>();
  /** By what `queueIdentity` says of each URL. */
  readonly #queues = new Map<string, Writers>();
  readonly #hostName: string | undefined;

  /**
   * @param hostName of the provisioned pair to which hosts write. A topic or queue of that name counts as the hosts' from
   * the start, even if it is listed as one of AWS's, since provisioning may find it only later.
   */
  constructor(hostName?: string) {
    this.#hostName = hostName;
  }

  /** ARNs of the topics whose messages are accepted. */
  get topics(): Pick<ReadonlySet<string>, 'has'> {
    return this.#topics;
  }

  /** A topic that is added for both writers counts as the hosts'. */
  addTopic(arn: string, writers: Writers): void {
    this.#topics.set(arn, stricter(this.#topics.get(arn), writers));
  }

  /** A queue that is added for both writers counts as the hosts'. */
  addQueue(url: string, writers: Writers): void {
    this.queues.add(url);
    const identity = queueIdentity(url);
    this.#queues.set(identity, stricter(this.#queues.get(identity), writers));
  }

  ofTopic(arn: string): Writers {
    if (arn.split(':').at(-1) === this.#hostName) return 'hosts';
    return this.#topics.get(arn) ?? 'hosts';
  }

  ofQueue(url: string): Writers {
    if (queueNameOf(url) === this.#hostName) return 'hosts';
    return this.#queues.get(queueIdentity(url)) ?? 'hosts';
  }
}

function stricter(before: Writers | undefined, now: Writers): Writers {
  return before === 'hosts' ? 'hosts' : now;
}
