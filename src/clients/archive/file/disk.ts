import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, describe } from '../../../domain/errors.ts';

/** Owner only: node attributes and client keys may hold secrets. */
export const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** Makes a folder and those above it; each is on disk, in its parent, when this resolves. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/**
 * Writes a file that is either there and complete or not there, whatever is killed or loses power when. That it is
 * there outlives a power cut once its folder is synced.
 * @param temporary a new name on the same file system
 */
export async function writeWhole(path: string, temporary: string, text: string): Promise<void> {
  try {
    const file = await open(temporary, 'wx', FILE_MODE);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

/** Makes new and removed names in a folder outlive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The names in a folder, last first; none where there is no such folder. */
export async function namesIn(path: string): Promise<string[]> {
  return (await orElse([], readdir(path), 'ENOENT', 'ENOTDIR')).sort().reverse();
}

/** The result, or `fallback` where it failed with one of the system errors named. */
export async function orElse<T>(fallback: T, result: Promise<T>, ...codes: string[]): Promise<T> {
  return result.catch((error: unknown) => {
    if (codes.includes(codeOf(error))) return fallback;
    throw error;
  });
}

const REMEDIES: Record<string, string> = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the disk quota is used up: free some space or raise it',
  EFBIG: 'the file size limit (ulimit -f) is reached: raise it',
  EACCES: 'not allowed: give the folder to the user that runs the service',
  EPERM: 'not allowed: give the folder to the user that runs the service',
  EROFS: 'the file system is read-only: mount it writable',
  EMFILE: 'too many open files: raise the limit (ulimit -n)',
  EEXIST: 'part of the path is a file: name a folder',
  ENOTDIR: 'part of the path is a file: name a folder',
};

/** An error of the archive's disk in words; waiting helps if a person repairs it, so the job retries. */
export function diskError(error: unknown, doing: string): AppError {
  if (error instanceof AppError) return error;
  const remedy = REMEDIES[codeOf(error)];
  const why = remedy === undefined ? describe(error) : `${remedy} (${codeOf(error)})`;
  return new AppError('unavailable', `${doing}: ${why}`, { cause: error });
}

/** `ENOENT` and its like; empty if it is not a system error. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
