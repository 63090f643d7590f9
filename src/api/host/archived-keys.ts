import type { Archive } from '../../clients/archive/archive.ts';
import type { ClientKey } from '../../clients/chef/keys.ts';
import { savedKeys } from '../../clients/chef/restore.ts';

/** What is left of a client that was deleted. */
export interface ArchivedKeys {
  keys: ClientKey[];
  /** Who asked for the deletion, where a person or program did. */
  deletedBy?: string | undefined;
}

/** A deletion that was cut short leaves archives of a node without its client; more than a few it never does. */
const LOOKED_THROUGH = 10;

/**
 * The keys of a client as they were saved when it was last deleted; undefined where it never was.
 * @throws AppError `unavailable`; `rejected` for a damaged archive
 */
export async function archivedKeys(archive: Archive, client: string): Promise<ArchivedKeys | undefined> {
  const { archives } = await archive.list({ node: client, limit: LOOKED_THROUGH });
  for (const { id } of archives) {
    const record = await archive.get(id);
    const { client: saved = null, clientKeys = [] } = record?.chef ?? {};
    if (saved !== null) {
      return { keys: savedKeys({ client: saved, clientKeys }), deletedBy: record?.requestedBy };
    }
  }
  return undefined;
}
