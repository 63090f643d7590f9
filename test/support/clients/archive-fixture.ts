import { expect } from 'vitest';
import type { Archive, ArchiveEntry } from '../../../src/clients/archive/archive.ts';

/** JSON that does not outlive being parsed and written again. */
export const exact =
  '{"name":"web-1","10":1,"2":9007199254740993,"x":1.0,"y":-0,"n":1e400,"s":"\\u00fc\\/ü","d":1,"d":2}';

export function entry(node = 'web-1', job = 'j1'): ArchiveEntry {
  return {
    node,
    instanceId: 'i-0a1b2c3d4e5f60718',
    job,
    event: { kind: 'request', method: 'delete', node },
    chef: { node: exact, client: '{"name":"web-1"}', clientKeys: ['{"name":"default"}'] },
  };
}

/** What an archive takes for the time. */
export interface Clock {
  time: Date;
}

/** Saves one entry a minute, the oldest first, and gives their ids, the newest first. */
export async function saveEach(archive: Archive, clock: Clock, nodes: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const node of nodes) {
    ids.unshift(await archive.save(entry(node)));
    clock.time = new Date(clock.time.getTime() + 60_000);
  }
  return ids;
}

/** All ids of a listing, read in pages of `limit`. */
export async function listed(archive: Archive, node?: string, limit = 500): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const { archives, next } = await archive.list({ node, limit, cursor });
    expect(archives.length).toBeLessThanOrEqual(limit);
    ids.push(...archives.map(({ id }) => id));
    if (next === null) return ids;
    cursor = next;
  }
}
