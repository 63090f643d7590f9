import { randomUUID } from 'node:crypto';
import { Router } from 'express';
import type { Event } from '../event.ts';
import type { Receive } from './receive.ts';

type EventRequest = Omit<Extract<Event, { kind: 'request' }>, 'kind' | 'method'> & {
  kind: 'delete' | 'ensure';
};

/** `POST /events`: a deletion or a restore that a person or a program asks for. */
export function eventRoutes(receive: Receive): Router {
  return Router().post('/events', async (request, response) => {
    const { kind, ...asked } = request.body as EventRequest;
    const key = request.get('idempotency-key');
    const caller = request.caller ?? '';
    const receipt = await receive({
      event: { kind: 'request', method: kind, ...asked },
      source: 'api',
      messageId: key ? `${caller}:${key}` : randomUUID(),
      publishedAt: new Date(),
      requestedBy: caller,
    });
    const jobId = 'jobId' in receipt ? receipt.jobId : '';
    const url = `/jobs/${jobId}`;
    response.status(202).location(url).json({ jobId, url });
  });
}
