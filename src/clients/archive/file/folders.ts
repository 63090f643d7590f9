import { open, readlink, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { ArchiveSummary } from '../archive.ts';
import { batches, readSummaries } from '../pagination.ts';
import { decodeSummary, earliestId, isArchiveId, nodeFolder } from '../record.ts';
import { namesIn, orElse } from './disk.ts';

/**
 *     nodes/NODE/ID.json   the records; a node's listing reads one folder
 *     days/DAY/ID.json     symbolic links to them; an id finds its record, and all are listed newest first, day by day
 *     temporary/           what is being written
 */
export interface ArchiveFolders {
  root: string;
  nodes: string;
  days: string;
  temporary: string;
}

export function archiveFolders(directory: string): ArchiveFolders {
  const root = resolve(directory);
  return {
    root,
    nodes: join(root, 'nodes'),
    days: join(root, 'days'),
    temporary: join(root, 'temporary'),
  };
}

/** Many times what the first line of a record holds. */
const FIRST_LINE_BYTES = 65_536;

/** Records removed at once. */
const REMOVALS = 32;

/** One page of summaries, newest first, of one node or of all; files that are no records are passed over. */
export async function readPage(
  folders: ArchiveFolders,
  { node, limit, cursor }: { node: string | undefined; limit: number; cursor: string | undefined },
): Promise<{ archives: ArchiveSummary[]; next: string | null }> {
  const paths =
    node === undefined
      ? newestFirst(folders.days, cursor)
      : records(join(folders.nodes, nodeFolder(node)), cursor);
  return readSummaries(paths, readSummary, limit);
}

/** Removes what was saved before a time, with the folders that this empties, and tells how many records. */
export async function removeBefore({ days }: ArchiveFolders, olderThan: Date): Promise<number> {
  let removed = 0;
  for await (const links of batches(newestFirst(days, earliestId(olderThan)), REMOVALS)) {
    for (const found of await Promise.all(links.map(removeRecord))) removed += found;
    for (const day of new Set(links.map(dirname))) await removeIfEmpty(day);
  }
  return removed;
}

/** How many records there were: one or none. */
async function removeRecord(link: string): Promise<number> {
  let removed = 0;
  const target = await orElse(undefined, readlink(link), 'ENOENT', 'EINVAL');
  if (target !== undefined) {
    const record = resolve(dirname(link), target);
    removed = await orElse(
      0,
      unlink(record).then(() => 1),
      'ENOENT',
    );
    await removeIfEmpty(dirname(record));
  }
  // Last, so that a removal cut short is found and finished the next time.
  await orElse(undefined, unlink(link), 'ENOENT');
  return removed;
}

async function* newestFirst(days: string, before: string | undefined): AsyncGenerator<string, undefined> {
  const last = before === undefined ? undefined : before.slice(0, 8);
  for (const day of await namesIn(days)) {
    if (last === undefined || day.replaceAll('-', '') <= last) yield* records(join(days, day), before);
  }
}

async function* records(folder: string, before: string | undefined): AsyncGenerator<string, undefined> {
  for (const name of await namesIn(folder)) {
    const id = idOf(name);
    if (isArchiveId(id) && (before === undefined || id < before)) yield join(folder, name);
  }
}

async function readSummary(path: string): Promise<ArchiveSummary | undefined> {
  const line = await orElse(undefined, readFirstLine(path), 'ENOENT', 'EACCES', 'ELOOP', 'EISDIR');
  return line === undefined ? undefined : decodeSummary(line, idOf(basename(path)));
}

async function readFirstLine(path: string): Promise<string | undefined> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(FIRST_LINE_BYTES), 0, FIRST_LINE_BYTES, 0);
    const end = buffer.indexOf('\n');
    return buffer.toString('utf8', 0, end < 0 ? bytesRead : end);
  } finally {
    await file.close();
  }
}

function idOf(name: string): string {
  return name.endsWith('.json') ? name.slice(0, -'.json'.length) : '';
}

function removeIfEmpty(folder: string): Promise<void> {
  return orElse(undefined, rmdir(folder), 'ENOENT', 'ENOTEMPTY', 'EEXIST');
}
