import { createHash, randomBytes } from 'node:crypto';
import { AppError } from '../../domain/errors.ts';
import type { ArchiveEntry, ArchiveRecord, ArchiveSummary } from './archive.ts';

const ID = /^(\d{4})(\d\d)(\d\d)T\d{9}Z-[0-9a-f]{32}$/;

/** UTC time to the millisecond, then 128 random bits: sorts by time, and is safe as a file name and in a URL. */
export function newArchiveId(at: Date): string {
  return `${earliestId(at)}${randomBytes(16).toString('hex')}`;
}

/** Sorts before every id made at or after this time, and after every earlier one. */
export function earliestId(at: Date): string {
  return `${at.toISOString().replace(/[-:.]/g, '')}-`;
}

export function isArchiveId(value: string): boolean {
  return ID.test(value);
}

/** The UTC day of an id, `2026-03-02`; undefined if it is not an id. */
export function dayOf(id: string): string | undefined {
  return ID.exec(id)?.slice(1, 4).join('-');
}

/**
 * The folder of a node: its name where that is plain, else a hash of it, so that no name is the way to another
 * folder, shares a folder with another name, or is longer than the 255 bytes that file systems allow (ext4, xfs).
 */
export function nodeFolder(node: string): string {
  if (/^[\w:-][\w.:-]{0,254}$/.test(node)) return node;
  return `%${createHash('sha256').update(node, 'utf16le').digest('hex')}`;
}

/**
 * The record as one JSON document whose first line holds all that a listing tells, so that listing reads only that.
 * @throws AppError `invalid` where a Chef text is not a JSON object: it could not restore anything
 */
export function encodeRecord(entry: ArchiveEntry, id: string, savedAt: Date): string {
  const { node, instanceId, job, requestedBy, event, chef } = entry;
  requireObject(node, 'node', chef.node);
  requireObject(node, 'client', chef.client);
  requireObject(node, 'node ACL', chef.nodeAcl);
  requireObject(node, 'client ACL', chef.clientAcl);
  for (const key of chef.clientKeys) requireObject(node, 'client key', key);
  const summary = { version: 1, id, node, instanceId, savedAt: savedAt.toISOString(), job, requestedBy };
  const first = JSON.stringify(summary).slice(0, -1);
  return `${first},\n"event":${JSON.stringify(event)},\n"chef":${JSON.stringify(chef)}}\n`;
}

/** What the first line of a record says; undefined where it is none. */
export function decodeSummary(firstLine: string, id: string): ArchiveSummary | undefined {
  const { version, ...summary } = parse(firstLine.replace(/,\s*$/, '}')) as Partial<ArchiveRecord>;
  const sound = version !== undefined && summary.id === id && typeof summary.node === 'string';
  return sound ? (summary as ArchiveSummary) : undefined;
}

/** @throws AppError `rejected` where it is damaged, or in a form this release does not know */
export function decodeRecord(text: string, id: string): ArchiveRecord {
  const record = parse(text) as Partial<ArchiveRecord>;
  const damaged = record.id !== id || typeof record.node !== 'string' || !record.chef;
  if (damaged || record.version !== 1) {
    const why = damaged
      ? 'is damaged: restore its file from a backup'
      : `has version ${record.version}: a newer release wrote it`;
    throw new AppError('rejected', `archive ${id} ${why}`);
  }
  return record as ArchiveRecord;
}

function requireObject(node: string, what: string, text: string | null | undefined): void {
  if (text === null || text === undefined) return;
  const value = parse(text);
  if (Object.keys(value).length > 0 && !Array.isArray(value)) return;
  throw new AppError(
    'invalid',
    `the ${what} of ${node} is not a JSON object as the Chef server sent it; not saved`,
  );
}

/** Nothing where it is not JSON, or not an object. */
function parse(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
