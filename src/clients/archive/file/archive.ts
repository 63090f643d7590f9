import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, stat, symlink, unlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Archive } from '../archive.ts';
import { checkCursor } from '../pagination.ts';
import { dayOf, decodeRecord, encodeRecord, newArchiveId, nodeFolder } from '../record.ts';
import {
  codeOf,
  diskError,
  FOLDER_MODE,
  makeFolder,
  namesIn,
  orElse,
  syncFolder,
  writeWhole,
} from './disk.ts';
import { type ArchiveFolders, archiveFolders, readPage, removeBefore } from './folders.ts';

export interface FileArchiveOptions {
  /** The clock. @default the system's */
  now?: () => Date;
}

/** Longer than any write takes: what is older was left behind by a process that died. */
const ABANDONED_MS = 3_600_000;

/**
 * An archive in a folder of the file system, for any number of processes at once. The folder is made when it is
 * first written to, mode 0700, and its files 0600.
 */
export function openFileArchive(
  directory: string,
  { now = () => new Date() }: FileArchiveOptions = {},
): Archive {
  const folders = archiveFolders(directory);
  const { root, days, temporary } = folders;

  /** Makes the folders first, and again when they vanish: a mount that went away, a node whose last record was pruned. */
  let prepared: Promise<void> | undefined;
  const writing = async <T>(failure: string, write: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        prepared ??= prepare(folders);
        await prepared;
        return await write();
      } catch (error) {
        prepared = undefined;
        if (codeOf(error) !== 'ENOENT' || attempt === 3) throw diskError(error, failure);
      }
    }
  };
  /** The longest text that was not taken: a disk may be too full for a record and still have space for a line. */
  let refused = '\n';
  const reading = <T>(result: Promise<T>): Promise<T> =>
    result.catch((error: unknown) => {
      throw diskError(error, `the archive ${root} could not be read`);
    });

  return {
    save: async entry => {
      const savedAt = now();
      const id = newArchiveId(savedAt);
      const text = encodeRecord(entry, id, savedAt);
      const failure = `node ${entry.node} was not archived in ${root}, so nothing may be deleted`;
      try {
        await writing(failure, () => store(folders, { id, node: entry.node, text }));
      } catch (error) {
        if (text.length > refused.length) refused = text;
        throw error;
      }
      return id;
    },

    get: async id => {
      const day = dayOf(id);
      if (day === undefined) return undefined;
      const path = join(days, day, `${id}.json`);
      const text = await reading(orElse<string | undefined>(undefined, readFile(path, 'utf8'), 'ENOENT'));
      return text === undefined ? undefined : decodeRecord(text, id);
    },

    list: async ({ node, limit, cursor }) => {
      checkCursor(cursor);
      return reading(readPage(folders, { node, limit, cursor }));
    },

    prune: async olderThan =>
      removeBefore(folders, olderThan).catch((error: unknown) => {
        throw diskError(error, `old records of the archive ${root} could not be removed`);
      }),

    probe: () =>
      writing(`the archive ${root} cannot be written`, async () => {
        const path = join(temporary, randomUUID());
        const text = refused;
        await writeWhole(path, `${path}.new`, text);
        await unlink(path);
        if (refused === text) refused = '\n';
      }),

    close: async () => {},
  };
}

async function store(
  { nodes, days, temporary }: ArchiveFolders,
  { id, node, text }: { id: string; node: string; text: string },
): Promise<void> {
  const day = join(days, dayOf(id) ?? '');
  const folder = join(nodes, nodeFolder(node));
  await Promise.all([day, folder].map(path => mkdir(path, { recursive: true, mode: FOLDER_MODE })));
  const record = join(folder, `${id}.json`);
  const link = join(day, `${id}.json`);
  // Before the record, so that no complete record lacks its link; a link without a record is passed over.
  await orElse(undefined, symlink(relative(day, record), link), 'EEXIST');
  try {
    await writeWhole(record, join(temporary, randomUUID()), text);
  } catch (error) {
    await unlink(link).catch(() => {});
    throw error;
  }
  await Promise.all([day, folder, days, nodes].map(syncFolder));
}

async function prepare({ root, nodes, days, temporary }: ArchiveFolders): Promise<void> {
  await makeFolder(root);
  const names = await readdir(root);
  // A folder that holds something else keeps its mode: it may not be ours alone.
  if (names.length === 0 || names.includes('nodes')) await chmod(root, FOLDER_MODE);
  for (const path of [nodes, days, temporary]) await makeFolder(path);
  for (const name of await namesIn(temporary)) {
    const path = join(temporary, name);
    const written = await orElse(
      Date.now(),
      stat(path).then(({ mtimeMs }) => mtimeMs),
      'ENOENT',
    );
    if (written < Date.now() - ABANDONED_MS)
      await orElse(undefined, unlink(path), 'ENOENT', 'EISDIR', 'EPERM');
  }
}
