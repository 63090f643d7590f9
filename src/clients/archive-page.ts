import { AppError } from '../errors.ts';
import type { ArchiveSummary } from './archive.ts';
import { isArchiveId } from './archive-record.ts';

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
  for (let ended = false; !ended && archives.length <= limit; ) {
    const batch: Place[] = [];
    while (!ended && batch.length < Math.min(READS, limit + 1)) {
      const { value, done } = await places.next();
      if (done) ended = true;
      else batch.push(value);
    }
    const found = await Promise.all(batch.map(read));
    archives.push(...found.filter(summary => summary !== undefined));
  }
  const page = archives.slice(0, limit);
  return { archives: page, next: archives.length > limit ? (page.at(-1)?.id ?? null) : null };
}
