import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { AppError } from '../../../domain/errors.ts';
import { callAws } from '../../aws/connection.ts';

/**
 * `AES256` asks for SSE-S3. `bucket` sends no header, so that the bucket's own default holds: a KMS key, say, which a
 * header of ours would overrule.
 */
export type Encryption = 'AES256' | 'bucket';

/** The objects of one bucket. Every call throws as `callAws` does, and `unavailable` where there is no bucket. */
export interface Objects {
  /** Never replaces what is there. */
  create(key: string, text: string): Promise<void>;
  write(key: string, text: string): Promise<void>;
  /** Undefined where there is none. */
  read(key: string, range?: string): Promise<string | undefined>;
  /** Ascending. */
  list(prefix: string, after?: string): AsyncGenerator<string, undefined>;
  /** At most 1,000. */
  remove(keys: string[]): Promise<void>;
}

export function bucketObjects(client: S3Client, bucket: string, encryption: Encryption): Objects {
  type Send<T> = (options: { abortSignal: AbortSignal }) => Promise<T>;
  const call = async <T>(action: string, key: string, send: Send<T>): Promise<T> => {
    try {
      return await callAws({ action, resource: `arn:aws:s3:::${bucket}${key && `/${key}`}` }, send);
    } catch (error) {
      if (refusalOf(error) !== 'NoSuchBucket') throw error;
      const message = `there is no S3 bucket ${bucket}: create it or set ARCHIVE_URL right`;
      throw new AppError('unavailable', message, { cause: error });
    }
  };
  const put = (key: string, text: string, condition: { IfNoneMatch?: '*' }) => {
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: text,
      ContentType: 'application/json',
      ...(encryption === 'AES256' && { ServerSideEncryption: 'AES256' }),
      ...condition,
    });
    return call('s3:PutObject', key, send => client.send(command, send));
  };
  const read = async (key: string, range?: string) => {
    const command = new GetObjectCommand({ Bucket: bucket, Key: key, ...(range && { Range: range }) });
    try {
      return await call('s3:GetObject', key, async send => {
        const { Body } = await client.send(command, send);
        return Body?.transformToString('utf-8');
      });
    } catch (error) {
      if (['NoSuchKey', 'InvalidRange'].includes(refusalOf(error))) return undefined;
      throw error;
    }
  };

  return {
    read,
    write: async (key, text) => void (await put(key, text, {})),

    create: async (key, text) => {
      try {
        await put(key, text, { IfNoneMatch: '*' });
      } catch (error) {
        // Another attempt of this very call may have stored it, and only its answer was lost.
        if (refusalOf(error) !== 'PreconditionFailed' || (await read(key)) !== text) throw error;
      }
    },

    async *list(prefix, after) {
      for (let last = after; ; ) {
        const command = new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          ...(last !== undefined && { StartAfter: last }),
        });
        const page = await call('s3:ListBucket', '', send => client.send(command, send));
        for (const { Key } of page.Contents ?? []) if (Key) yield Key;
        last = page.Contents?.at(-1)?.Key;
        if (!page.IsTruncated || last === undefined) return undefined;
      }
    },

    remove: async found => {
      const Delete = { Objects: found.map(Key => ({ Key })), Quiet: true };
      const command = new DeleteObjectsCommand({ Bucket: bucket, Delete });
      const { Errors: [fault] = [] } = await call('s3:DeleteObject', '*', send => client.send(command, send));
      if (!fault) return;
      const denied = fault.Code === 'AccessDenied';
      const remedy = denied ? ': allow s3:DeleteObject in the IAM policy of this service' : '';
      throw new AppError(
        denied ? 'permission' : 'unavailable',
        `S3 did not delete ${fault.Key} of bucket ${bucket} (${fault.Code})${remedy}`,
      );
    },
  };
}

/** S3's name for why it refused. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
function refusalOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? cause.name : '';
}
