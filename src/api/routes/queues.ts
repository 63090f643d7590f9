import type { Queue } from 'bullmq';
import type { RequestHandler } from 'express';
import { AppError } from '../../domain/errors.ts';

export const QUEUES = '/queues';
/** Set by the page for this path only and until the browser is closed, since a browser sends no token by itself. */
const COOKIE = 'chef-deregistration-token';
/** Bull Board has styles in its HTML. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'self'; frame-ancestors 'none'";

/** Takes the token from the page's cookie where the request has no other. */
export const tokenOfCookie: RequestHandler = (request, _response, next) => {
  const cookies = (request.get('cookie') ?? '').split(/;\s*/);
  const cookie = cookies.find(each => each.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  if (cookie) request.headers.authorization ??= `Bearer ${decoded(cookie)}`;
  next();
};

/** Bull Board, to look only, for those whose token is known; others are sent to the page. */
export function queueBoard(openQueue: () => Queue): RequestHandler {
  let board: Promise<RequestHandler> | undefined;
  return async (request, response, next) => {
    if (!request.caller) return response.redirect(302, '/');
    if (request.method !== 'GET') throw new AppError('not-found', `${QUEUES} is to look only`);
    response.set('Content-Security-Policy', POLICY);
    // Loaded when first looked at: it is large, and most processes never show it.
    board ??= import('./queue-board.ts').then(({ openBoard }) => openBoard(openQueue(), QUEUES));
    return (await board)(request, response, next);
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
