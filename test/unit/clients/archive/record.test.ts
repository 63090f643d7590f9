import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diskError } from '../../../../src/clients/archive/file/disk.ts';
import {
  dayOf,
  decodeRecord,
  decodeSummary,
  earliestId,
  encodeRecord,
  isArchiveId,
  newArchiveId,
  nodeFolder,
} from '../../../../src/clients/archive/record.ts';

const times = fc.date({
  min: new Date('2000-01-01'),
  max: new Date('2999-12-31'),
  noInvalidDate: true,
});
const jsonObject = fc
  .object({ maxDepth: 3 })
  .map(value => JSON.stringify(value))
  .filter(text => text !== '{}' && text !== undefined);

test('ids sort as the times they were made at, and each carries its UTC day', () => {
  fc.assert(
    fc.property(times, times, (a, b) => {
      const [one, other] = [newArchiveId(a), newArchiveId(b)];
      expect(isArchiveId(one)).toBe(true);
      expect(dayOf(one)).toBe(a.toISOString().slice(0, 10));
      if (a < b) expect(one < other && one < earliestId(b) && earliestId(b) < other).toBe(true);
    }),
  );
});

test.each(['', '..', '20260302T101542661Z-', `../20260302T101542661Z-${'0'.repeat(32)}`, 'x'.repeat(52)])(
  '%j is not an id',
  text => {
    expect(isArchiveId(text)).toBe(false);
    expect(dayOf(text)).toBeUndefined();
  },
);

test('every node name has one folder of its own that a file system takes', () => {
  const names = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.stringMatching(/^[\w.:-]{1,255}$/),
    fc.constantFrom('', '.', '..', '../..', 'a/b', 'web-1', '.hidden', '%', '\ud800', '\udfff', 'x\0y'),
  );
  fc.assert(
    fc.property(names, names, (a, b) => {
      expect(nodeFolder(a)).toMatch(/^(?!\.)[\w.:%-]{1,255}$/);
      expect(nodeFolder(a) === nodeFolder(b)).toBe(a === b);
    }),
  );
  for (const name of ['web-1.example.com', 'a'.repeat(255)]) expect(nodeFolder(name)).toBe(name);
  expect(nodeFolder('a'.repeat(256)).length).toBeLessThan(255);
  expect(nodeFolder('\ud800')).not.toBe(nodeFolder('\udfff'));
});

test('a record gives back what was put in, Chef’s texts byte for byte, and its first line tells the rest', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), jsonObject, jsonObject, (node, text, key) => {
      const at = new Date('2026-03-02T10:15:42.661Z');
      const id = newArchiveId(at);
      const chef = { node: ` ${text}\n`, client: null, clientKeys: [key], nodeAcl: text };
      const written = encodeRecord({ node, job: 'j1', event: { kind: 'delete' }, chef }, id, at);
      const summary = { id, node, savedAt: at.toISOString(), job: 'j1' };
      expect(decodeRecord(written, id)).toEqual({ version: 1, ...summary, event: { kind: 'delete' }, chef });
      expect(decodeSummary(written.split('\n')[0] ?? '', id)).toEqual(summary);
    }),
  );
});

test.each(['', 'null', '[]', '[1]', '{}', '{"name":', '<html>', '"text"'])(
  'Chef text %j is refused, since it could restore nothing',
  text => {
    const entry = { node: 'web-1', job: 'j1', event: {}, chef: { node: text, client: null, clientKeys: [] } };
    expect(() => encodeRecord(entry, newArchiveId(new Date()), new Date())).toThrow(
      expect.objectContaining({
        code: 'invalid',
        message: expect.stringContaining('the node of web-1 is not a JSON object'),
      }),
    );
  },
);

test('no text, whatever it is, is taken for a record of another id or breaks the reading', () => {
  const id = newArchiveId(new Date());
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), text => {
      expect(decodeSummary(text, id)).toBeUndefined();
      expect(() => decodeRecord(text, id)).toThrow(expect.objectContaining({ code: 'rejected' }));
    }),
  );
});

test('a record under another’s name is not accepted', () => {
  const [id, other] = [newArchiveId(new Date()), newArchiveId(new Date())];
  const entry = { node: 'web-1', job: 'j1', event: {}, chef: { node: null, client: null, clientKeys: [] } };
  const text = encodeRecord(entry, id, new Date());
  expect(() => decodeRecord(text, other)).toThrow(expect.objectContaining({ code: 'rejected' }));
  expect(decodeSummary(text.split('\n')[0] ?? '', other)).toBeUndefined();
});

test('a record of a newer form is named as such', () => {
  const id = newArchiveId(new Date());
  const text = JSON.stringify({ version: 2, id, node: 'web-1', chef: {} });
  expect(() => decodeRecord(text, id)).toThrow(/version 2: a newer release wrote it/);
});

test.each([
  ['ENOSPC', /disk is full: free some space/],
  ['EACCES', /give the folder to the user/],
  ['EROFS', /read-only: mount it writable/],
  ['EIO', /: i\/o error$/],
])('%s says what to do, and is tried again', (code, words) => {
  const error = diskError(Object.assign(new Error('i/o error'), { code }), 'not archived in /srv/archive');
  expect(error).toMatchObject({ code: 'unavailable', message: expect.stringMatching(words) });
  expect(error.message).toMatch(/^not archived in \/srv\/archive: /);
});
