import { AppError } from '../../domain/errors.ts';
import type { ArchiveSummary } from './archive.ts';
import { isArchiveId } from './record.ts';

/** Records read at once by a listing. */
const READS = 32;

/** @throws AppError `invalid` where it is none that a listing gave */
export function checkCursor(cursor: string | undefined): void {
  if (cursor === undefined || isArchiveId(cursor)) return;
  throw new AppError('invalid', 'the cursor is not one that a listing gave', { field: 'cursor' });
}

/**
 * One page of summaries, in the order of the places they are read from.
 * @param read undefined for what turns out to be no record: it is passed over
 */
export async function readSummaries<Place>(
  places: AsyncGenerator<Place, undefined>,
  read: (place: Place) => Promise<ArchiveSummary | undefined>,
  limit: number,
): Promise<{ archives: ArchiveSummary[]; next: string | null }> {
  const archives: ArchiveSummary[] = [];
  for await (const batch of batches(places, Math.min(READS, limit + 1))) {
    const found = await Promise.all(batch.map(read));
    archives.push(...found.filter(summary => summary !== undefined));
    if (archives.length > limit) break;
  }
  const page = archives.slice(0, limit);
  return { archives: page, next: archives.length > limit ? (page.at(-1)?.id ?? null) : null };
}

export async function* batches<T>(items: AsyncGenerator<T>, size: number): AsyncGenerator<T[], undefined> {
  let batch: T[] = [];
  for await (const item of items) {
    if (batch.push(item) < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
