import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import { AppError } from '../domain/errors.ts';
import { RateLimit } from './rate-limit.ts';

export interface CallLimits {
  /** Calls with one token. */
  calls: RateLimit;
  /** Wrong tokens from one address. */
  failures: RateLimit;
}

const MINUTE_MS = 60_000;

function callLimits(): CallLimits {
  return {
    // 500 a second over a minute: a script that ran wild, and no client that means it.
    calls: new RateLimit({ limit: 30_000, windowMs: MINUTE_MS }),
    failures: new RateLimit({ limit: 300, windowMs: MINUTE_MS }),
  };
}

/**
 * Notes as `request.caller` the name under which the request's bearer token was given out. A caller that guesses tokens gets 429
 * after a while; right ones pass even then, since many callers may share the address of one proxy, and no rate at which
 * tokens of 20 characters are guessed leads anywhere.
 */
export function identify(
  tokens: ReadonlyMap<string, string>,
  limits: CallLimits = callLimits(),
): RequestHandler {
  return (request, _response, next) => {
    const [, token] = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(request.get('authorization') ?? '') ?? [];
    const caller = token && nameOf(token, tokens);
    if (caller) {
      request.caller = caller;
      refuse(limits.calls.take(caller), `more calls than one token may make (${caller})`);
    } else if (token) {
      refuse(limits.failures.take(request.socket.remoteAddress ?? ''), 'too many wrong tokens');
    }
    next();
  };
}

/** For guarded routes. @throws AppError `unauthenticated` */
export function requireCaller(request: Request, tokens: ReadonlyMap<string, string>): true {
  if (request.caller) return true;
  throw new AppError(
    'unauthenticated',
    tokens.size === 0
      ? 'this route needs a token, and the service has none: set API_TOKENS'
      : 'send Authorization: Bearer with one of the tokens in API_TOKENS',
  );
}

function refuse(waitMs: number, why: string): void {
  if (waitMs === 0) return;
  const seconds = Math.ceil(waitMs / 1000);
  throw new AppError('too-many-requests', `${why}: wait ${seconds} s`, { retryAfterMs: waitMs });
}

/** Every token is compared, each in constant time, so that the answer's delay tells nothing. */
function nameOf(token: string, tokens: ReadonlyMap<string, string>): string | undefined {
  return [...tokens].filter(([, known]) => sameSecret(token, known))[0]?.[0];
}

function sameSecret(given: string, known: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(known));
}
