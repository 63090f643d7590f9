import type { Archive } from '../../clients/archive/archive.ts';
import type { ClientKey } from '../../clients/chef/keys.ts';
import { keyFingerprint } from '../../domain/key-fingerprint.ts';

/** A node has few archives, and one of the newest has its client. */
const LOOKED_THROUGH = 10;

/**
 * Fingerprints of the keys that a client had when it was last archived for this instance; undefined if it never was.
 * @throws AppError `unavailable`; `rejected` for a damaged archive
 */
export async function archivedFingerprints(
  archive: Archive,
  node: string,
  instanceId: string,
  savedKeys: (saved: { client: string; clientKeys: string[] }) => ClientKey[],
): Promise<string[] | undefined> {
  const { archives } = await archive.list({ node, limit: LOOKED_THROUGH });
  for (const { id } of archives.filter(each => each.instanceId === instanceId)) {
    const { client = null, clientKeys = [] } = (await archive.get(id))?.chef ?? {};
    if (client === null) continue;
    return savedKeys({ client, clientKeys }).map(({ public_key }) => keyFingerprint(public_key));
  }
  return undefined;
}
