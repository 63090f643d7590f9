import { createPublicKey, verify } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ArchivedKeys } from '../clients/archived-keys.ts';
import type { ClientKey } from '../clients/chef-keys.ts';
import { AppError, describe } from '../errors.ts';
import type { Event, News } from '../event.ts';
import type { HostSignature } from '../host-signature.ts';
import type { ClaimNonce } from '../jobs/nonces.ts';

export interface HostTrust {
  /** Whether a message without a signature is doubted. One with a wrong signature always is. */
  required: boolean;
  /** Names of the topics and queues that are this installation's. */
  audiences: ReadonlySet<string>;
  /** Of the Chef client of that name; undefined where the Chef server has none. */
  keys: (client: string) => Promise<ClientKey[] | undefined>;
  /** As they were saved when that client was last deleted. */
  archivedKeys: (client: string) => Promise<ArchivedKeys | undefined>;
  claimNonce: ClaimNonce;
}

/**
 * Why a message is not believed; undefined where it is, or where it is no host's.
 * @throws AppError `unavailable` where that cannot be found out now
 */
export type DoubtHost = (event: Event, delivery: Omit<News, 'event'>) => Promise<string | undefined>;

type Registration = Extract<Event, { kind: 'registration' }>;

/** As far as a Chef server lets clocks be apart: a host whose clock is worse could not have used its key there either. */
const CLOCK_SKEW_MS = 15 * 60_000;
/** SNS waits 15 seconds for our answer. */
const TIMEOUT_MS = 5_000;

/**
 * The gate for what hosts say of themselves. Whoever may publish to the topic can write any name into a message; only the
 * host itself has the private key of its Chef client. Each check stops an attack of its own:
 * 1. audience: what a host said to another installation;
 * 2. time: what it said long ago, by the clock of SNS or SQS at publication, since it may have lain in a queue for days;
 * 3. signature: what it never said;
 * 4. nonce: what it said once, published again by another.
 */
export function hostGate(trust: HostTrust): DoubtHost {
  return async (event, { messageId, publishedAt }) => {
    if (event.kind !== 'registration') return undefined;
    const { signature, node } = event;
    if (!signature) {
      return trust.required
        ? `host ${node} did not sign its message (NODE_SIGNATURES is required)`
        : undefined;
    }
    if ('fault' in signature) return `host ${node} did not sign its message rightly: ${signature.fault}`;
    if (!trust.audiences.has(signature.audience)) {
      return `host ${node} signed its message for ${signature.audience}, which is not this installation`;
    }
    if (Math.abs(Date.parse(signature.time) - publishedAt.getTime()) > CLOCK_SKEW_MS) {
      return `host ${node} signed its message at ${signature.time}, and it was published at ${publishedAt.toISOString()}: a replay, or the host's clock is off by more than 15 minutes`;
    }
    const doubt = await inTime(doubtSignature(event, signature, publishedAt, trust));
    if (doubt) return doubt;
    if (await trust.claimNonce(`${node}:${signature.nonce}`, messageId)) return undefined;
    return `the signature of host ${node} was used in another message before: a replay`;
  };
}

async function doubtSignature(
  { node, method }: Registration,
  signature: HostSignature,
  publishedAt: Date,
  { keys, archivedKeys }: HostTrust,
): Promise<string | undefined> {
  const found = await keys(node);
  if (found) {
    // `infinity` is no date, and no expiry.
    const good = found.filter(key => !(Date.parse(key.expiration_date) < publishedAt.getTime()));
    if (madeBy(good, signature)) return undefined;
    const expired = good.length < found.length ? '; expired keys do not count' : '';
    return `none of the keys that the Chef server has of client ${node} made its signature${expired}`;
  }
  // The client went by an earlier message of its death, or wants back what such a message took.
  const archived = await archivedKeys(node);
  if (!archived || !madeBy(archived.keys, signature)) {
    return `the Chef server has no client ${node}, and no key that was archived with it made its signature`;
  }
  // Whoever deletes the client of a stolen key must not find it restored by that key.
  return method === 'ensure' && archived.deletedBy !== undefined
    ? `${archived.deletedBy} asked for the deletion of ${node}, which the host cannot undo by itself`
    : undefined;
}

function madeBy(keys: ClientKey[], signature: HostSignature): boolean {
  return keys.some(({ public_key }) => signed(signature, public_key));
}

function signed({ text, value }: HostSignature, publicKey: string): boolean {
  try {
    const key = createPublicKey(publicKey);
    return (
      key.asymmetricKeyType === 'rsa' &&
      verify('sha256', Buffer.from(text), key, Buffer.from(value, 'base64'))
    );
  } catch {
    return false;
  }
}

/** What only a person can mend is told to one; everything else may be better when the message comes again. */
async function inTime(doubting: Promise<string | undefined>): Promise<string | undefined> {
  const timer = new AbortController();
  const late = delay(TIMEOUT_MS, undefined, { signal: timer.signal }).then(() => {
    throw new AppError('unavailable', `no answer within ${TIMEOUT_MS} ms`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([doubting, late]);
  } catch (error) {
    const mendable = error instanceof AppError && (error.code === 'permission' || error.code === 'rejected');
    if (mendable) return `its signature cannot be checked: ${describe(error)}`;
    throw new AppError('unavailable', `a host's signature cannot be checked now: ${describe(error)}`, {
      cause: error,
    });
  } finally {
    timer.abort();
  }
}
