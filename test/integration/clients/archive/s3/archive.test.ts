import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Archive } from '../../../../../src/clients/archive/archive.ts';
import { newArchiveId } from '../../../../../src/clients/archive/record.ts';
import { openS3Archive } from '../../../../../src/clients/archive/s3/archive.ts';
import { s3Keys } from '../../../../../src/clients/archive/s3/keys.ts';
import { AppError, describe as inWords } from '../../../../../src/domain/errors.ts';
import { type Aws, startAws } from '../../../../support/aws.ts';
import { type Clock, entry, listed, saveEach } from '../../../../support/clients/archive-fixture.ts';
import { type S3Gate, startS3Gate } from '../../../../support/s3-gate.ts';

let aws: Aws;
let gate: S3Gate;
let s3: S3Client;
let bucket: string;
let buckets = 0;
let clock: Clock;
let archive: Archive;

beforeAll(async () => {
  aws = await startAws({ durable: false });
  gate = await startS3Gate(aws.url);
  const { region, credentials, url: endpoint } = aws;
  s3 = new S3Client({ region, credentials, endpoint, forcePathStyle: true });
});
afterAll(async () => {
  s3?.destroy();
  await gate?.stop();
  await aws?.stop();
});

beforeEach(async () => {
  bucket = `archive-${++buckets}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  clock = { time: new Date('2026-03-02T10:15:42.661Z') };
  archive = open();
});
afterEach(async () => {
  gate.refuse();
  gate.requests.length = 0;
  await archive.close();
});

function open(options: { bucket?: string; encryption?: 'bucket' } = {}): Archive {
  const { region, credentials } = aws;
  const access = { region, credentials, endpoint: gate.url };
  return openS3Archive({ bucket, prefix: 'chef/saved', now: () => clock.time, ...access, ...options });
}

function put(key: string, text: string) {
  return s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: Buffer.from(text) }));
}

describe('a record', () => {
  test('comes back with Chef’s texts byte for byte', async () => {
    const id = await archive.save({ ...entry(), requestedBy: 'alice' });
    expect(await archive.get(id)).toEqual({
      ...entry(),
      version: 1,
      id,
      savedAt: '2026-03-02T10:15:42.661Z',
      requestedBy: 'alice',
    });
    const { archives } = await archive.list({ limit: 5 });
    expect(archives).toEqual([expect.objectContaining({ id, node: 'web-1', requestedBy: 'alice' })]);
    expect(archives[0]).not.toHaveProperty('chef');
  });

  test('of another id is not there, whatever the id looks like', async () => {
    await archive.save(entry());
    for (const id of [newArchiveId(clock.time), '', '../probe', 'nodes/web-1', 'records/']) {
      expect(await archive.get(id)).toBeUndefined();
    }
  });

  test('is encrypted by S3, and replaces nothing', async () => {
    await archive.save(entry());
    for (const { headers } of gate.requests.filter(({ method }) => method === 'PUT')) {
      expect(headers).toMatchObject({ 'x-amz-server-side-encryption': 'AES256', 'if-none-match': '*' });
    }
    gate.requests.length = 0;
    const byBucket = open({ encryption: 'bucket' });
    await byBucket.save(entry());
    expect(gate.requests.map(({ headers }) => headers['x-amz-server-side-encryption'])).toEqual([
      undefined,
      undefined,
    ]);
    await byBucket.close();
  });

  test('that S3 stored while its answer was lost is saved', async () => {
    await archive.save(entry('first'));
    gate.loseAnswer();
    const id = await archive.save(entry());
    expect(await archive.get(id)).toMatchObject({ node: 'web-1' });
    expect(await listed(archive)).toHaveLength(2);
  });

  test('that is torn says so, and does not hide the others', async () => {
    const [second, first] = await saveEach(archive, clock, ['web-1', 'web-1']);
    const key = s3Keys('chef/saved').record(second ?? '', 'web-1');
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    const text = (await Body?.transformToString()) ?? '';
    await put(key, text.slice(0, text.length / 2));
    await expect(archive.get(second ?? '')).rejects.toMatchObject({
      code: 'rejected',
      message: `archive ${second} is damaged: restore its file from a backup`,
    });
    await put(key, '');
    expect(await listed(archive, 'web-1')).toEqual([first]);
    expect(await archive.get(first ?? '')).toMatchObject({ id: first });
  });
});

describe('a listing', () => {
  test('is newest first, of all and of each node, in pages', async () => {
    const nodes = ['a', 'b', 'a.b', 'a', 'b', 'a', 'A'];
    const ids = await saveEach(archive, clock, nodes);
    const of = (name: string) => ids.filter((_, at) => nodes.toReversed()[at] === name);
    expect(await listed(archive)).toEqual(ids);
    expect(await listed(archive, undefined, 2)).toEqual(ids);
    for (const name of new Set(nodes)) expect(await listed(archive, name, 1)).toEqual(of(name));
    expect(await listed(archive, 'c')).toEqual([]);
  });

  test('passes over what is not a record, and what an attempt that was killed left', async () => {
    await put('chef/saved/records/notes.txt', 'ours');
    await put('chef/saved/nodes/web-1/notes.txt', 'ours');
    await put(s3Keys('chef/saved').marker(newArchiveId(clock.time), 'web-1'), '\n');
    const ids = await saveEach(archive, clock, ['web-1']);
    expect(await listed(archive)).toEqual(ids);
    expect(await listed(archive, 'web-1')).toEqual(ids);
  });

  test('reads one page of keys and the records of one page, however many there are', async () => {
    await Promise.all(Array.from({ length: 300 }, (_, n) => archive.save(entry('web-1', `j${n}`))));
    gate.requests.length = 0;
    const { archives, next } = await archive.list({ node: 'web-1', limit: 10 });
    expect(archives).toHaveLength(10);
    expect(next).toBe(archives[9]?.id);
    expect(gate.requests.filter(({ path }) => path.includes('list-type'))).toHaveLength(1);
    expect(gate.requests.filter(({ headers }) => headers.range)).toHaveLength(11);
  });

  test('refuses a cursor that it did not give', async () => {
    const listing = archive.list({ limit: 1, cursor: 'chef' });
    await expect(listing).rejects.toMatchObject({ code: 'invalid', field: 'cursor' });
  });

  test('of keys sorts every later id before an earlier one, and finds the way between record and marker', () => {
    const keys = s3Keys('');
    const ids = fc
      .date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true })
      .map(newArchiveId);
    fc.assert(
      fc.property(ids, ids, fc.stringMatching(/^[\w.:-]{1,255}$/), (a, b, node) => {
        expect(keys.record(a, node) < keys.record(b, node)).toBe(a > b);
        expect(keys.after(keys.records, a) > keys.record(b, node)).toBe(a <= b);
        expect(keys.markerOf(keys.record(a, node))).toBe(keys.marker(a, node));
        expect(keys.recordOf(keys.marker(a, node), node)).toBe(keys.record(a, node));
      }),
    );
  });
});

describe('retention', () => {
  test('removes what was saved before a time, and nothing else', async () => {
    const ids = await saveEach(archive, clock, ['a', 'b', 'a', 'b']);
    expect(await archive.prune(new Date('2026-03-02T10:17:42.661Z'))).toBe(2);
    expect(await listed(archive)).toEqual(ids.slice(0, 2));
    expect(await listed(archive, 'a')).toEqual(ids.slice(1, 2));
    expect(await archive.get(ids[3] ?? '')).toBeUndefined();
    expect(await archive.prune(new Date(0))).toBe(0);
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    expect(Contents).toHaveLength(4);
  });
});

describe('where S3', () => {
  test.each([
    [403, 'AccessDenied', 'permission', /allow s3:PutObject on arn:aws:s3:::BUCKET\/chef.*IAM policy/],
    [403, 'InvalidAccessKeyId', 'credentials', /does not accept our credentials for s3:PutObject/],
    [404, 'NoSuchBucket', 'unavailable', /there is no S3 bucket BUCKET: create it or set ARCHIVE_URL/],
    [503, 'SlowDown', 'unavailable', /s3:PutObject/],
  ])('answers %i %s, nothing is saved, and the error says what to do', async (status, code, kind, why) => {
    gate.refuse({ status, code });
    const error: unknown = await archive.save(entry()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: kind });
    expect(inWords(error)).toContain(`node web-1 was not archived in s3://${bucket}`);
    expect(inWords(error).replaceAll(bucket, 'BUCKET')).toMatch(why);
    gate.refuse();
    expect(await listed(archive)).toEqual([]);
    expect(await listed(archive, 'web-1')).toEqual([]);
  });

  test('takes the marker and refuses the record, the listing stays whole', async () => {
    const ids = await saveEach(archive, clock, ['web-1']);
    gate.refuse({
      status: 403,
      code: 'AccessDenied',
      when: ({ method, path }) => method === 'PUT' && path.includes('/records/'),
    });
    await expect(archive.save(entry())).rejects.toMatchObject({ code: 'permission' });
    gate.refuse();
    expect(await listed(archive, 'web-1')).toEqual(ids);
  });

  test('cannot be written, the probe says so; a write that succeeded answers the next probes', async () => {
    gate.refuse({ status: 403, code: 'AccessDenied' });
    await expect(archive.probe()).rejects.toMatchObject({ code: 'permission' });
    gate.refuse();
    await archive.probe();
    const asked = gate.requests.length;
    await archive.probe();
    expect(gate.requests).toHaveLength(asked);
  });
});
