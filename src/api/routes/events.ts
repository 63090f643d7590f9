import { randomUUID } from 'node:crypto';
import { Router } from 'express';
import type { Archive } from '../../clients/archive/archive.ts';
import { AppError } from '../../domain/errors.ts';
import type { Event } from '../../domain/event.ts';
import type { JobStore } from '../../jobs/store.ts';
import type { Receive } from '../receive.ts';

type EventRequest = Omit<Extract<Event, { kind: 'request' }>, 'kind' | 'method'> & {
  kind: 'delete' | 'ensure';
};

/** `POST /events`: a deletion or a restore that a person or a program asks for. */
export function eventRoutes(receive: Receive, archive: Archive, store: Pick<JobStore, 'now'>): Router {
  return Router().post('/events', async (request, response) => {
    const { kind, ...asked } = request.body as EventRequest;
    if (asked.archive !== undefined) await checkArchive(kind, asked.node, asked.archive, archive);
    const key = request.get('idempotency-key');
    const caller = request.caller ?? '';
    // Redis's clock: all processes and persons have the same.
    const now = await store.now();
    const receipt = await receive({
      event: { kind: 'request', method: kind, ...asked },
      source: 'api',
      messageId: key ? `${caller}:${key}` : randomUUID(),
      place: 'api',
      publishedAt: now,
      saidAt: now,
      requestedBy: caller,
    });
    const jobId = 'jobId' in receipt ? receipt.jobId : '';
    const url = `/jobs/${jobId}`;
    response.status(202).location(url).json({ jobId, url });
  });
}

/** Refuses at once what the job would find out later. @throws AppError `invalid` */
async function checkArchive(kind: string, node: string, id: string, archive: Archive): Promise<void> {
  const refuse = (why: string) => new AppError('invalid', why, { field: 'archive' });
  if (kind !== 'ensure') throw refuse('an archive goes with kind ensure only');
  const record = await archive.get(id);
  if (!record) throw refuse(`there is no archive ${id}; GET /archives?node=${node} lists those of ${node}`);
  if (record.node !== node) throw refuse(`archive ${id} is of node ${record.node}, not of ${node}`);
}
