import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import { AppError } from '../errors.ts';

/** The name under which the request's bearer token was given out. @throws AppError `unauthenticated` */
export function authenticate(request: Request, tokens: ReadonlyMap<string, string>): string {
  const [, token] = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(request.get('authorization') ?? '') ?? [];
  if (token) {
    // Every token is compared, each in constant time, so that the answer's delay tells nothing.
    const matches = [...tokens].filter(([, known]) => sameSecret(token, known));
    if (matches[0]) return matches[0][0];
  }
  throw new AppError(
    'unauthenticated',
    tokens.size === 0
      ? 'this route needs a token, and the service has none: set API_TOKENS'
      : 'send Authorization: Bearer with one of the tokens in API_TOKENS',
  );
}

function sameSecret(given: string, known: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(known));
}
