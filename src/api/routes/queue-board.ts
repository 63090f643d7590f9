import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppViewRoute } from '@bull-board/api/typings/app';
import { ExpressAdapter } from '@bull-board/express';
import type { Queue } from 'bullmq';
import type { RequestHandler } from 'express';

/** A style sheet of another host's: Bull Board names one with fonts, and has no option for it. */
const FOREIGN_STYLES = /<link [^>]*href="https?:[^>]*>/g;

/** Bull Board of one queue, to look only. @param path under which it is served */
export function openBoard(queue: Queue, path: string): RequestHandler {
  const adapter = new OwnStyles();
  adapter.setBasePath(path);
  const queues = [new BullMQAdapter(queue, { readOnlyMode: true })];
  createBullBoard({ queues, serverAdapter: adapter, options: { uiConfig: { boardTitle: 'Queue' } } });
  return adapter.getRouter() as RequestHandler;
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
