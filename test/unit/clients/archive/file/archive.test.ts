import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  globSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Archive } from '../../../../../src/clients/archive/archive.ts';
import { openFileArchive } from '../../../../../src/clients/archive/file/archive.ts';
import { newArchiveId } from '../../../../../src/clients/archive/record.ts';
import { type Clock, entry, exact, listed, saveEach } from '../../../../support/clients/archive-fixture.ts';
import { freshDirectory } from '../../../../support/process.ts';

let directory: string;
let clock: Clock;
let archive: Archive;

beforeEach(() => {
  directory = join(freshDirectory('archive'), 'deep', 'archive');
  clock = { time: new Date('2026-03-02T10:15:42.661Z') };
  archive = openFileArchive(directory, { now: () => clock.time });
});

function filesIn(folder: string): string[] {
  return globSync('**/*', { cwd: join(directory, folder), withFileTypes: true })
    .filter(found => found.isFile() || found.isSymbolicLink())
    .map(({ name }) => name);
}

test('a record comes back with Chef’s texts byte for byte', async () => {
  const id = await archive.save({ ...entry(), requestedBy: 'alice' });
  expect(await archive.get(id)).toEqual({
    ...entry(),
    version: 1,
    id,
    savedAt: '2026-03-02T10:15:42.661Z',
    requestedBy: 'alice',
  });
});

test('there is nothing under an id that was never given, nor under a path', async () => {
  await archive.save(entry());
  expect(await archive.get(newArchiveId(clock.time))).toBeUndefined();
  expect(await archive.get('../../nodes/web-1')).toBeUndefined();
});

test('the same job saving again adds a record and leaves the first', async () => {
  const first = await archive.save(entry());
  const again = await archive.save({ ...entry(), chef: { node: null, client: null, clientKeys: [] } });
  expect(again).not.toBe(first);
  expect((await archive.get(first))?.chef.node).toBe(exact);
  expect((await listed(archive, 'web-1')).sort()).toEqual([first, again].sort());
});

test('only the owner may read the archive', async () => {
  await archive.save(entry());
  const modes = (paths: string[]) => new Set(paths.map(path => (statSync(path).mode & 0o777).toString(8)));
  const folders = globSync('**/', { cwd: directory }).map(path => join(directory, path));
  expect(modes([directory, ...folders])).toEqual(new Set(['700']));
  expect(modes(globSync(join(directory, 'nodes/*/*')))).toEqual(new Set(['600']));
});

test('an empty folder with a wider mode is closed, one that holds something else is left as it is', async () => {
  for (const [name, mode] of [
    ['empty', 0o700],
    ['shared', 0o755],
  ] as const) {
    const folder = join(freshDirectory('archive'), name);
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    if (name === 'shared') writeFileSync(join(folder, 'other'), '');
    await openFileArchive(folder).save(entry());
    expect(statSync(folder).mode & 0o777).toBe(mode);
    expect(statSync(join(folder, 'nodes')).mode & 0o777).toBe(0o700);
  }
});

test('a listing is newest first across days, of one node or of all, in pages', async () => {
  clock.time = new Date('2026-02-28T23:50:00Z');
  const nodes = Array.from({ length: 75 }, (_, at) => `web-${at % 3}`);
  const ids = await saveEach(archive, clock, nodes);
  expect(readdirSync(join(directory, 'days'))).toEqual(['2026-02-28', '2026-03-01']);
  for (const limit of [1, 7, 75, 500]) expect(await listed(archive, undefined, limit)).toEqual(ids);
  const ofOne = ids.filter((_, at) => nodes.toReversed()[at] === 'web-1');
  for (const limit of [2, 25, 26]) expect(await listed(archive, 'web-1', limit)).toEqual(ofOne);
  expect(await listed(archive, 'web-9')).toEqual([]);
});

test('a listing tells whose record it is, when and by which job it was made', async () => {
  const id = await archive.save({ ...entry(), requestedBy: 'alice' });
  const summary = { id, node: 'web-1', instanceId: 'i-0a1b2c3d4e5f60718', job: 'j1', requestedBy: 'alice' };
  const { archives } = await archive.list({ limit: 10 });
  expect(archives).toEqual([{ ...summary, savedAt: '2026-03-02T10:15:42.661Z' }]);
});

test('a cursor that no listing gave is refused', async () => {
  await expect(archive.list({ limit: 1, cursor: '../x' })).rejects.toMatchObject({
    code: 'invalid',
    field: 'cursor',
  });
});

test('an archive that was never written to is empty', async () => {
  expect(await listed(archive)).toEqual([]);
  expect(await archive.prune(new Date())).toBe(0);
});

test('any node name can be saved and found, and nothing is written outside of the archive', async () => {
  const names = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom('..', '.', '', 'a/../../../b', 'nodes', 'x\0y', 'é'.repeat(255)),
  );
  await fc.assert(
    fc.asyncProperty(names, async node => {
      const id = await archive.save(entry(node));
      expect((await archive.get(id))?.node).toBe(node);
      expect(await listed(archive, node)).toContain(id);
    }),
    { numRuns: 60 },
  );
  expect(readdirSync(join(directory, '..'))).toEqual(['archive']);
  expect(readdirSync(directory).sort()).toEqual(['days', 'nodes', 'temporary']);
});

test('torn, foreign and half-made files hide no other record', async () => {
  const good = await archive.save(entry());
  const torn = await archive.save(entry());
  truncateSync(join(directory, `nodes/web-1/${torn}.json`), 20);
  const day = join(directory, 'days/2026-03-02');
  writeFileSync(join(directory, 'nodes/web-1/notes.txt'), 'by hand');
  writeFileSync(join(directory, 'days/README'), '');
  writeFileSync(join(directory, `nodes/web-1/${newArchiveId(clock.time)}.json`), '');
  mkdirSync(join(directory, `nodes/web-1/${newArchiveId(clock.time)}.json`));
  mkdirSync(join(directory, 'days/lost+found'));
  symlinkSync('../../nodes/web-1/never-written.json', join(day, `${newArchiveId(clock.time)}.json`));
  expect(await listed(archive)).toEqual([good]);
  expect(await listed(archive, 'web-1')).toEqual([good]);
  expect((await archive.get(good))?.node).toBe('web-1');
  await expect(archive.get(torn)).rejects.toMatchObject({
    code: 'rejected',
    message: expect.stringContaining(torn),
  });
});

test('many saves at once, of two openings of one archive, all come back once', async () => {
  const other = openFileArchive(directory);
  const ids = await Promise.all(
    Array.from({ length: 200 }, (_, at) => (at % 2 ? archive : other).save(entry(`web-${at % 20}`))),
  );
  expect((await listed(archive)).sort()).toEqual(ids.sort());
  expect(filesIn('temporary')).toEqual([]);
});

describe('prune', () => {
  test('removes what is older than a time, and the folders that this empties', async () => {
    clock.time = new Date('2026-03-01T23:58:00Z');
    const ids = await saveEach(archive, clock, ['old', 'old', 'web-1', 'web-1']);
    expect(await archive.prune(new Date('2026-03-02T00:01:00Z'))).toBe(3);
    expect(await listed(archive)).toEqual(ids.slice(0, 1));
    expect(readdirSync(join(directory, 'nodes'))).toEqual(['web-1']);
    expect(readdirSync(join(directory, 'days'))).toEqual(['2026-03-02']);
    expect(await archive.prune(new Date('2026-03-02T00:01:00Z'))).toBe(0);
  });

  test('loses no record that is saved meanwhile, though it empties the same folders', async () => {
    const old = Array.from({ length: 30 }, () => archive.save(entry()));
    await Promise.all(old);
    clock.time = new Date('2026-03-03T00:00:00Z');
    const saves = Array.from({ length: 30 }, () => archive.save(entry()));
    const [removed] = await Promise.all([archive.prune(clock.time), ...saves]);
    expect(removed).toBe(30);
    expect((await listed(archive, 'web-1')).sort()).toEqual((await Promise.all(saves)).sort());
  });
});

describe('faults', () => {
  /** Runs a program against the archive in a process of its own. */
  const run = (program: string) => {
    const source = new URL('../../../../../src/clients/archive/file/archive.ts', import.meta.url);
    const code = `import { openFileArchive } from ${JSON.stringify(source.href)};
      const archive = openFileArchive(${JSON.stringify(directory)});
      const entry = ${JSON.stringify(entry())};
      ${program}`;
    const args = ['--input-type=module', '--eval', code];
    return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  };

  test('after kill -9 amid saves every id that was given names a whole record, and no torn one is listed', async () => {
    const child = run(`for (;;) console.log(await archive.save(entry));`);
    let output = '';
    child.stdout.on('data', chunk => {
      output += chunk;
      if (output.split('\n').length > 40) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const given = output.split('\n').slice(0, -1);
    const found = await listed(archive);
    expect(given.length).toBeGreaterThanOrEqual(40);
    expect(found).toEqual(expect.arrayContaining(given));
    for (const id of found) expect((await archive.get(id))?.chef.node).toBe(exact);
  });

  test('what a killed process left half written is cleared away once it is old', async () => {
    await archive.save(entry());
    for (const name of ['old', 'young']) writeFileSync(join(directory, 'temporary', name), '{"torn');
    utimesSync(join(directory, 'temporary/old'), 0, 0);
    await openFileArchive(directory).probe();
    expect(filesIn('temporary')).toEqual(['young']);
  });

  test('a place that cannot be a folder fails probe and save until it can', async () => {
    const parent = join(directory, '..');
    mkdirSync(join(parent, '..'), { recursive: true });
    writeFileSync(parent, 'a file');
    const fault = { code: 'unavailable', message: expect.stringContaining(`${directory}`) };
    await expect(archive.probe()).rejects.toMatchObject(fault);
    await expect(archive.save(entry())).rejects.toMatchObject(fault);
    rmSync(parent);
    await archive.probe();
    await archive.save(entry());
    expect(await listed(archive)).toHaveLength(1);
  });

  test('a folder removed under the running service is made again', async () => {
    await archive.save(entry());
    rmSync(directory, { recursive: true });
    const id = await archive.save(entry());
    expect(await listed(archive)).toEqual([id]);
    rmSync(directory, { recursive: true });
    await archive.probe();
    expect(filesIn('.')).toEqual([]);
  });
});
