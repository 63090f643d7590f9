import { describe } from '../errors.ts';

const HINTS: [says: RegExp, hint: string][] = [
  [
    /WRONGPASS|NOAUTH/,
    'set user and password in REDIS_URL right; Sentinels have their own, sentinel-password',
  ],
  [
    /certificate/i,
    'name the host as its certificate does, and the certificate’s authority in NODE_EXTRA_CA_CERTS',
  ],
  [/timeout/i, 'it takes connections and gives no answer'],
  // All that ioredis tells of a Cluster, whatever closed it.
  [
    /^Connection is closed/,
    'is it up, REDIS_URL right, and with TLS the certificate for that host and its authority in NODE_EXTRA_CA_CERTS?',
  ],
];

/** Why Redis cannot be used, as the `error` event of a connection tells it, and what to do where that is known. */
export function whyAway(error: Error): Error {
  // That of a Cluster itself says only that none of its nodes could be used.
  const text = describe('lastNodeError' in error ? error.lastNodeError : error);
  const hint = HINTS.find(([says]) => says.test(text))?.[1];
  return new Error(hint ? `${text} (${hint})` : text);
}
