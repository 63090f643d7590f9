import { createPublicKey, verify } from 'node:crypto';
import type { ClientKey } from '../../clients/chef/keys.ts';
import { AppError, describe, type HoldCode, type Reason } from '../../domain/errors.ts';
import type { Event, InboundEvent } from '../../domain/event.ts';
import type { HostSignature } from '../../domain/host-signature.ts';
import { keyFingerprint } from '../../domain/key-fingerprint.ts';
import { withTimeLimit } from '../../lib/time-limit.ts';
import type { ArchivedKeys } from './archived-keys.ts';
import type { ClaimNonce } from './nonces.ts';

export interface HostTrust {
  /** Whether a message without a signature is quarantined. One with a wrong signature always is. */
  required: boolean;
  /** Names of the topics and queues that are this installation's. */
  audiences: ReadonlySet<string>;
  /** Of the Chef client of that name; undefined where the Chef server has none. */
  keys: (client: string) => Promise<ClientKey[] | undefined>;
  /** As they were saved when that client was last deleted. */
  archivedKeys: (client: string) => Promise<ArchivedKeys | undefined>;
  /** Who last asked for the deletion of a node, if a person did since the last `ensure` of a person. */
  deletionAskedBy: (node: string) => Promise<string | undefined>;
  claimNonce: ClaimNonce;
}

/** What is known of a host's message once its signature was checked. */
interface HostVerdict {
  /** Fingerprint of the key that signed it. */
  signedBy?: string;
  /** Why it is not acted upon without a person. */
  quarantine?: Reason;
}

/**
 * Checks an event that a host sent; nothing is known of any other.
 * @throws AppError `unavailable` if that cannot be found out now
 */
export type VerifyHost = (event: Event, delivery: Omit<InboundEvent, 'event'>) => Promise<HostVerdict>;

type Registration = Extract<Event, { kind: 'registration' }>;

/** As far as a Chef server lets clocks be apart: a host whose clock is worse could not have used its key there either. */
const CLOCK_SKEW_MS = 15 * 60_000;
/** SNS waits 15 seconds for our answer. */
const TIMEOUT_MS = 5_000;

/**
 * Verifies what hosts say of themselves. Anyone who may publish to the topic can write any name into a message; only the
 * host itself has the private key of its Chef client. Each check stops an attack of its own:
 * 1. audience: what a host said to another installation;
 * 2. time: what it said long ago, by the clock of SNS or SQS at publication, since it may have lain in a queue for days;
 * 3. signature: what it never said;
 * 4. nonce: what it said once, published again by another.
 */
export function createHostVerifier(trust: HostTrust): VerifyHost {
  return async (event, { messageId, publishedAt }) => {
    if (event.kind !== 'registration') return {};
    const { signature, node } = event;
    if (!signature) {
      if (!trust.required) return {};
      return quarantined('unsigned', `host ${node} did not sign its message (NODE_SIGNATURES is required)`);
    }
    if ('fault' in signature) {
      return quarantined(
        'bad-signature',
        `host ${node} did not sign its message correctly: ${signature.fault}`,
      );
    }
    if (!trust.audiences.has(signature.audience)) {
      return quarantined(
        'bad-signature',
        `host ${node} signed its message for ${signature.audience}, which is not this installation`,
      );
    }
    if (Math.abs(Date.parse(signature.time) - publishedAt.getTime()) > CLOCK_SKEW_MS) {
      return quarantined(
        'stale',
        `host ${node} signed its message at ${signature.time}, and it was published at ${publishedAt.toISOString()}: a replay, or the host's clock is off by more than 15 minutes`,
      );
    }
    const verdict = await inTime(checkSignature(event, signature, publishedAt, trust));
    if (verdict.quarantine || (await trust.claimNonce(`${node}:${signature.nonce}`, messageId)))
      return verdict;
    return quarantined(
      'bad-signature',
      `the signature of host ${node} was used in another message before: a replay`,
    );
  };
}

function quarantined(code: HoldCode, message: string): HostVerdict {
  return { quarantine: { code, message } };
}

async function checkSignature(
  { node, method }: Registration,
  signature: HostSignature,
  publishedAt: Date,
  { keys, archivedKeys, deletionAskedBy }: HostTrust,
): Promise<HostVerdict> {
  const found = await keys(node);
  // The client went by an earlier message of its end, or wants back what such a message took.
  const archived = found ? undefined : await archivedKeys(node);
  const all = found ?? archived?.keys ?? [];
  // `infinity` is not a date, and means that the key does not expire.
  const good = all.filter(key => !(Date.parse(key.expiration_date) < publishedAt.getTime()));
  const signer = good.find(({ public_key }) => signed(signature, public_key));
  if (!signer) {
    const expired = good.length < all.length ? '; expired keys do not count' : '';
    return quarantined(
      'bad-signature',
      found
        ? `none of the keys that the Chef server has of client ${node} made its signature${expired}`
        : `the Chef server has no client ${node}, and no key that was archived with it made its signature${expired}`,
    );
  }
  if (archived && method === 'ensure') {
    // A client that was deleted because its key was stolen must not be restored by that key.
    const who = archived.deletedBy ?? (await deletionAskedBy(node));
    if (who !== undefined) {
      return quarantined(
        'deletion-asked',
        `${who} asked for the deletion of ${node}, which the host cannot undo by itself`,
      );
    }
  }
  return { signedBy: keyFingerprint(signer.public_key) };
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

/** Quarantines the message if only a person can remove the fault; any other fault may be gone at the next delivery. */
async function inTime(checking: Promise<HostVerdict>): Promise<HostVerdict> {
  const late = () => {
    throw new AppError('unavailable', `no answer within ${TIMEOUT_MS} ms`);
  };
  try {
    return await withTimeLimit(checking, TIMEOUT_MS, late);
  } catch (error) {
    const byPerson = error instanceof AppError && (error.code === 'permission' || error.code === 'rejected');
    if (byPerson) return quarantined('bad-signature', `its signature cannot be checked: ${describe(error)}`);
    throw new AppError('unavailable', `a host's signature cannot be checked now: ${describe(error)}`, {
      cause: error,
    });
  }
}
