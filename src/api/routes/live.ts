import { type Response, Router } from 'express';
import type { Change, WatchChanges } from '../../clients/redis/subscribe.ts';
import { AppError } from '../../domain/errors.ts';
import type { JobStore } from '../../jobs/store.ts';
import { toApiJob } from './jobs.ts';

/** Changes within this many milliseconds are sent together, so that a burst costs no more than its jobs. */
const GATHER_MS = 150;
/** Jobs read and sent at a time. */
const BATCH = 100;
/** Proxies close what is silent for longer. */
const HEARTBEAT_MS = 15_000;
const CLIENTS = 100;
/** A client that does not read is disconnected when this many bytes wait for it; it reconnects and reads everything again. */
const BACKLOG_BYTES = 4_000_000;

export interface Live {
  add: (client: Response) => void;
  /** Ends every stream. */
  close: () => void;
}

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) for any number of clients from one
 * subscription, which there is only while somebody looks: `job` with the job as it stands now, `trigger`, and `reset`
 * where changes may have been missed.
 */
export function liveStream(watch: WatchChanges, store: Pick<JobStore, 'get'>): Live {
  const clients = new Set<Response>();
  const changed = new Set<string>();
  let unwatch: (() => void) | undefined;
  let gathering: NodeJS.Timeout | undefined;
  const heartbeat = setInterval(() => send(': still here\n\n'), HEARTBEAT_MS);
  heartbeat.unref();

  function send(text: string): void {
    for (const client of clients) {
      if (client.writableLength > BACKLOG_BYTES) client.destroy();
      else client.write(text);
    }
  }

  function note(change: Change): void {
    if (change.what === 'anything') send('event: reset\ndata: {}\n\n');
    else if (change.what === 'trigger') send('event: trigger\ndata: {}\n\n');
    else {
      changed.add(change.id);
      gathering ??= setTimeout(() => void tell(), GATHER_MS);
    }
  }

  async function tell(): Promise<void> {
    const ids = [...changed].slice(0, BATCH);
    for (const id of ids) changed.delete(id);
    try {
      const jobs = await Promise.all(ids.map(id => store.get(id)));
      for (const job of jobs) if (job) send(`event: job\ndata: ${JSON.stringify(toApiJob(job))}\n\n`);
    } catch {
      // Redis is away; when it is back, all clients are asked to read everything again.
    }
    gathering = changed.size > 0 ? setTimeout(() => void tell(), GATHER_MS) : undefined;
  }

  return {
    add(client) {
      if (clients.size >= CLIENTS) throw new AppError('unavailable', `${CLIENTS} clients look already`);
      client.on('close', () => {
        clients.delete(client);
        if (clients.size > 0) return;
        unwatch?.();
        unwatch = undefined;
      });
      clients.add(client);
      client.status(200).set({ 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
      client.flushHeaders();
      // The first client reads when the subscription stands, later ones at once.
      if (unwatch) client.write('event: reset\ndata: {}\n\n');
      else unwatch = watch(note);
    },
    close() {
      clearInterval(heartbeat);
      clearTimeout(gathering);
      for (const client of clients) client.end();
      unwatch?.();
    },
  };
}

/** `GET /live`: jobs as they change. */
export function liveRoutes(live: Live): Router {
  return Router().get('/live', (_request, response) => live.add(response));
}
