import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppViewRoute } from '@bull-board/api/typings/app';
import { ExpressAdapter } from '@bull-board/express';
import type { Queue } from 'bullmq';
import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';

export const QUEUES = '/queues';
/** Set by the page for this path only, since a browser sends no token by itself. */
const COOKIE = 'chef-deregistration-token';
/** Bull Board has styles in its HTML. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'self'; frame-ancestors 'none'";

/** A style sheet of another host's: Bull Board names one with fonts, and has no option for it. */
const FOREIGN_STYLES = /<link [^>]*href="https?:[^>]*>/g;

/** Takes the token from the page's cookie where the request has no other. */
export const tokenOfCookie: RequestHandler = (request, _response, next) => {
  const cookies = (request.get('cookie') ?? '').split(/;\s*/);
  const cookie = cookies.find(each => each.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  if (cookie) request.headers.authorization ??= `Bearer ${decoded(cookie)}`;
  next();
};

/** Bull Board, to look only, for those whose token is known; others are sent to the page. */
export function queueBoard(openQueue: () => Queue): RequestHandler {
  let board: RequestHandler | undefined;
  const open = () => {
    const adapter = new OwnStyles();
    adapter.setBasePath(QUEUES);
    const queues = [new BullMQAdapter(openQueue(), { readOnlyMode: true })];
    createBullBoard({ queues, serverAdapter: adapter, options: { uiConfig: { boardTitle: 'Queue' } } });
    return adapter.getRouter() as RequestHandler;
  };
  return (request, response, next) => {
    if (!request.caller) return response.redirect(302, '/');
    if (request.method !== 'GET') throw new AppError('not-found', `${QUEUES} is to look only`);
    response.set('Content-Security-Policy', POLICY);
    board ??= open();
    return board(request, response, next);
  };
}

class OwnStyles extends ExpressAdapter {
  override setEntryRoute({ route, handler }: AppViewRoute): this {
    this.app.get(route, (_request, response, next) => {
      const { name, params } = handler({ basePath: this.basePath, uiConfig: this.uiConfig });
      response.render(name, params, (error: Error | null, html: string) => {
        if (error) next(error);
        else response.send(html.replaceAll(FOREIGN_STYLES, ''));
      });
    });
    return this;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
