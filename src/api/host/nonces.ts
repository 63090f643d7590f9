import type { Redis } from 'ioredis';

/** A queue hands a message out for 14 days at most: until then a copy of it may turn up under another id. */
const MEMORY_SECONDS = 15 * 86_400;

/**
 * Lets each nonce count for one message only. Copies and redeliveries of that message are no second use.
 * @returns whether the nonce is this message's
 */
export type ClaimNonce = (nonce: string, messageId: string) => Promise<boolean>;

export function nonceRegister(redis: Redis, prefix: string): ClaimNonce {
  return async (nonce, messageId) => {
    const key = `${prefix}:nonce:${nonce}`;
    if (await redis.set(key, messageId, 'EX', MEMORY_SECONDS, 'NX')) return true;
    return (await redis.get(key)) === messageId;
  };
}
