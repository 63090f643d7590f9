import { isObject } from '../../domain/json.ts';
import { type ChefAnswer, readNamed, readObject } from './answer.ts';
import type { ChefServer } from './connection.ts';
import { clientKeyTexts } from './keys.ts';

/** Everything a Chef server has of a host, as the JSON texts that it sent. */
export interface ChefSnapshot {
  /** null where there is none. */
  node: string | null;
  /** null where there is none. */
  client: string | null;
  /** Empty where the server keeps the one key in the client. */
  clientKeys: string[];
  /** Undefined where the server has none, or does not let us read it (that takes GRANT). */
  nodeAcl: string | undefined;
  clientAcl: string | undefined;
}

export async function takeSnapshot(server: ChefServer, name: string): Promise<ChefSnapshot> {
  const [node, client, clientKeys, nodeAcl, clientAcl] = await Promise.all([
    server.get('nodes', name).then(answer => named(answer, name)),
    server.get('clients', name).then(answer => named(answer, name)),
    clientKeyTexts(server, name),
    server.get('nodes', name, '_acl').then(acl),
    server.get('clients', name, '_acl').then(acl),
  ]);
  return { node, client, clientKeys, nodeAcl, clientAcl };
}

function named(answer: ChefAnswer, name: string): string | null {
  return readNamed(answer, name) ? answer.text : null;
}

/** An ACL has an entry for each permission; goiardi, which has no ACLs, answers with the client itself. */
function acl(answer: ChefAnswer): string | undefined {
  if (answer.status === 403) return undefined;
  return isObject(readObject(answer)?.['read']) ? answer.text : undefined;
}
