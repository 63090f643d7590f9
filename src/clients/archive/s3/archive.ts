import { S3Client } from '@aws-sdk/client-s3';
import { AppError } from '../../../domain/errors.ts';
import { type AwsOptions, clientConfig } from '../../aws/connection.ts';
import type { Archive, ArchiveSummary } from '../archive.ts';
import { batches, checkCursor, readSummaries } from '../pagination.ts';
import { decodeRecord, decodeSummary, encodeRecord, isArchiveId, newArchiveId } from '../record.ts';
import { idOfKey, type S3Keys, s3Keys } from './keys.ts';
import { bucketObjects, type Encryption, type Objects } from './objects.ts';

export interface S3ArchiveOptions extends AwsOptions {
  bucket: string;
  /** Begins every key. */
  prefix?: string;
  /** `AES256` by default. */
  encryption?: Encryption;
  /** The clock. @default the system's */
  now?: () => Date;
}

/** Many times what the first line of a record holds. */
const FIRST_LINE_BYTES = 65_536;
/** A probe is a write, and writes cost: a success is reused for this long. */
const PROBE_MS = 60_000;

/**
 * An archive in a bucket of S3, for any number of processes at once. S3 stores an object whole or not at all, and by
 * its checksum only as it was sent. It needs s3:PutObject, s3:GetObject and s3:ListBucket, and for `prune`
 * s3:DeleteObject; with a KMS key kms:GenerateDataKey and kms:Decrypt.
 */
export function openS3Archive(options: S3ArchiveOptions): Archive {
  const { bucket, encryption = 'AES256', now = () => new Date() } = options;
  const keys = s3Keys((options.prefix ?? '').replace(/^\/+|\/+$/g, ''));
  const client = new S3Client({
    ...clientConfig(options),
    followRegionRedirects: true,
    // An endpoint that is not AWS's seldom has a host name for each bucket.
    forcePathStyle: options.endpoint !== undefined,
  });
  const objects = bucketObjects(client, bucket, encryption);
  let probed = 0;

  return {
    save: async entry => {
      const savedAt = now();
      const id = newArchiveId(savedAt);
      const text = encodeRecord(entry, id, savedAt);
      try {
        // Before the record, so that no complete record lacks its marker; a marker without a record is passed over.
        await objects.create(keys.marker(id, entry.node), '\n');
        await objects.create(keys.record(id, entry.node), text);
      } catch (error) {
        // The next probe must not reuse an earlier success.
        probed = 0;
        const code = error instanceof AppError ? error.code : 'unavailable';
        const message = `node ${entry.node} was not archived in s3://${bucket}, so nothing may be deleted`;
        throw new AppError(code, message, { cause: error });
      }
      probed = Date.now();
      return id;
    },

    get: async id => {
      if (!isArchiveId(id)) return undefined;
      const { value: key } = await objects.list(keys.recordPrefix(id)).next();
      const text = key && (await objects.read(key));
      return text === undefined ? undefined : decodeRecord(text, id);
    },

    list: async ({ node, limit, cursor }) => {
      checkCursor(cursor);
      return readSummaries(newestFirst(objects, keys, node, cursor), key => summary(objects, key), limit);
    },

    prune: async olderThan => {
      let removed = 0;
      const first = keys.before(keys.records, olderThan);
      for await (const batch of batches(objects.list(keys.records, first), 1_000)) {
        // The records last: what a removal cut short leaves is found by its record the next time.
        await objects.remove(batch.map(keys.markerOf));
        await objects.remove(batch);
        removed += batch.length;
      }
      return removed;
    },

    probe: async () => {
      if (Date.now() - probed < PROBE_MS) return;
      await objects.write(keys.probe, '\n');
      probed = Date.now();
    },

    close: async () => client.destroy(),
  };
}

async function* newestFirst(
  objects: Objects,
  keys: S3Keys,
  node: string | undefined,
  cursor: string | undefined,
): AsyncGenerator<string, undefined> {
  const listing = node === undefined ? keys.records : keys.markers(node);
  const after = cursor === undefined ? undefined : keys.after(listing, cursor);
  for await (const key of objects.list(listing, after)) {
    if (isArchiveId(idOfKey(key))) yield node === undefined ? key : keys.recordOf(key, node);
  }
}

async function summary(objects: Objects, key: string): Promise<ArchiveSummary | undefined> {
  const text = await objects.read(key, `bytes=0-${FIRST_LINE_BYTES - 1}`);
  return text === undefined ? undefined : decodeSummary(text.split('\n', 1)[0] ?? '', idOfKey(key));
}
