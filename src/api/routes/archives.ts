import { Router } from 'express';
import type { Archive, ArchiveListing, ArchiveRecord } from '../../clients/archive/archive.ts';
import { AppError } from '../../domain/errors.ts';

/** What was saved before deletions: `GET /archives`, `GET /archives/{id}`. */
export function archiveRoutes(archive: Archive): Router {
  return Router()
    .get('/archives', async (request, response) => {
      // Checked and given their defaults by the contract, openapi.yaml.
      response.json(await archive.list(request.query as unknown as ArchiveListing));
    })
    .get('/archives/:id', async (request, response) => {
      const { id } = request.params;
      const record = await archive.get(id);
      if (!record) throw new AppError('not-found', `there is no archive ${id}; GET /archives lists them`);
      response.type('application/json').send(toJson(record));
    });
}

/** Chef's own JSON is put in as it was saved, number for number. */
function toJson({ version, chef, ...summary }: ArchiveRecord): string {
  const { node, client, clientKeys, nodeAcl, clientAcl } = chef;
  const saved = {
    node: node ?? 'null',
    client: client ?? 'null',
    clientKeys: `[${clientKeys.join(',')}]`,
    ...(nodeAcl && { nodeAcl }),
    ...(clientAcl && { clientAcl }),
  };
  const members = Object.entries(saved).map(([name, json]) => `"${name}":${json}`);
  return `${JSON.stringify(summary).slice(0, -1)},"chef":{${members.join(',')}}}`;
}
