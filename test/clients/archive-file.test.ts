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
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Archive, ArchiveEntry } from '../../src/clients/archive.ts';
import { openFileArchive } from '../../src/clients/archive-file.ts';
import { newArchiveId } from '../../src/clients/archive-record.ts';
import { freshDirectory } from '../parts/process.ts';

let directory: string;
let clock: Date;
let archive: Archive;

beforeEach(() => {
  directory = join(freshDirectory('archive'), 'deep', 'archive');
  clock = new Date('2026-03-02T10:15:42.661Z');
  archive = openFileArchive(directory, { now: () => clock });
});

const exact =
  '{"name":"web-1","10":1,"2":9007199254740993,"x":1.0,"y":-0,"n":1e400,"s":"\\u00fc\\/","d":1,"d":2}';

function entry(node = 'web-1', job = 'j1'): ArchiveEntry {
  return {
    node,
    instanceId: 'i-0a1b2c3d4e5f60718',
    job,
    event: { kind: 'delete', node },
    chef: { node: exact, client: '{"name":"web-1"}', clientKeys: ['{"name":"default"}'] },
  };
}

/** Saves one entry a minute, the oldest first, and gives their ids, the newest first. */
async function saveEach(nodes: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const node of nodes) {
    ids.unshift(await archive.save(entry(node)));
    clock = new Date(clock.getTime() + 60_000);
  }
  return ids;
}

async function listed(node?: string, limit = 500): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const { archives, next } = await archive.list({ node, limit, cursor });
    expect(archives.length).toBeLessThanOrEqual(limit);
    ids.push(...archives.map(({ id }) => id));
    if (next === null) return ids;
    cursor = next;
  }
}

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
  expect(await archive.get(newArchiveId(clock))).toBeUndefined();
  expect(await archive.get('../../nodes/web-1')).toBeUndefined();
});

test('the same job saving again adds a record and leaves the first', async () => {
  const first = await archive.save(entry());
  const again = await archive.save({ ...entry(), chef: { node: null, client: null, clientKeys: [] } });
  expect(again).not.toBe(first);
  expect((await archive.get(first))?.chef.node).toBe(exact);
  expect((await listed('web-1')).sort()).toEqual([first, again].sort());
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
  clock = new Date('2026-02-28T23:50:00Z');
  const nodes = Array.from({ length: 75 }, (_, at) => `web-${at % 3}`);
  const ids = await saveEach(nodes);
  expect(readdirSync(join(directory, 'days'))).toEqual(['2026-02-28', '2026-03-01']);
  for (const limit of [1, 7, 75, 500]) expect(await listed(undefined, limit)).toEqual(ids);
  const ofOne = ids.filter((_, at) => nodes.toReversed()[at] === 'web-1');
  for (const limit of [2, 25, 26]) expect(await listed('web-1', limit)).toEqual(ofOne);
  expect(await listed('web-9')).toEqual([]);
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
  expect(await listed()).toEqual([]);
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
      expect(await listed(node)).toContain(id);
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
  writeFileSync(join(directory, `nodes/web-1/${newArchiveId(clock)}.json`), '');
  mkdirSync(join(directory, `nodes/web-1/${newArchiveId(clock)}.json`));
  mkdirSync(join(directory, 'days/lost+found'));
  symlinkSync('../../nodes/web-1/never-written.json', join(day, `${newArchiveId(clock)}.json`));
  expect(await listed()).toEqual([good]);
  expect(await listed('web-1')).toEqual([good]);
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
  expect((await listed()).sort()).toEqual(ids.sort());
  expect(filesIn('temporary')).toEqual([]);
});

describe('prune', () => {
  test('removes what is older than a time, and the folders that this empties', async () => {
    clock = new Date('2026-03-01T23:58:00Z');
    const ids = await saveEach(['old', 'old', 'web-1', 'web-1']);
    expect(await archive.prune(new Date('2026-03-02T00:01:00Z'))).toBe(3);
    expect(await listed()).toEqual(ids.slice(0, 1));
    expect(readdirSync(join(directory, 'nodes'))).toEqual(['web-1']);
    expect(readdirSync(join(directory, 'days'))).toEqual(['2026-03-02']);
    expect(await archive.prune(new Date('2026-03-02T00:01:00Z'))).toBe(0);
  });

  test('loses no record that is saved meanwhile, though it empties the same folders', async () => {
    const old = Array.from({ length: 30 }, () => archive.save(entry()));
    await Promise.all(old);
    clock = new Date('2026-03-03T00:00:00Z');
    const saves = Array.from({ length: 30 }, () => archive.save(entry()));
    const [removed] = await Promise.all([archive.prune(clock), ...saves]);
    expect(removed).toBe(30);
    expect((await listed('web-1')).sort()).toEqual((await Promise.all(saves)).sort());
  });
});

describe('faults', () => {
  /** Runs a program against the archive in a process of its own. */
  const run = (limits: string, program: string) => {
    const source = new URL('../../src/clients/archive-file.ts', import.meta.url);
    const code = `import { openFileArchive } from ${JSON.stringify(source.href)};
      const archive = openFileArchive(${JSON.stringify(directory)});
      const entry = ${JSON.stringify(entry())};
      ${program}`;
    const command = `${limits} exec "$@"`;
    const args = ['-c', command, 'sh', process.execPath, '--input-type=module', '-e', code];
    return spawn('sh', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  };

  test('when the disk takes no more the save fails, says so and leaves nothing behind', async () => {
    const big = `entry.chef.node = JSON.stringify({ name: 'web-1', filler: 'x'.repeat(100_000) });
      await archive.save(entry).catch(({ code, message }) => console.log(JSON.stringify({ code, message })));`;
    const said = JSON.parse(await text(run('ulimit -f 8;', big).stdout));
    expect(said).toMatchObject({ code: 'unavailable' });
    expect(said.message).toContain(
      `node web-1 was not archived in ${directory}, so nothing may be deleted: the file size limit`,
    );
    expect([...filesIn('nodes'), ...filesIn('days'), ...filesIn('temporary')]).toEqual([]);
  });

  test('after kill -9 amid saves every id that was given names a whole record, and no torn one is listed', async () => {
    const child = run('', `for (;;) console.log(await archive.save(entry));`);
    let output = '';
    child.stdout.on('data', chunk => {
      output += chunk;
      if (output.split('\n').length > 40) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const given = output.split('\n').slice(0, -1);
    const found = await listed();
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
    expect(await listed()).toHaveLength(1);
  });

  test('a folder removed under the running service is made again', async () => {
    await archive.save(entry());
    rmSync(directory, { recursive: true });
    const id = await archive.save(entry());
    expect(await listed()).toEqual([id]);
    rmSync(directory, { recursive: true });
    await archive.probe();
    expect(filesIn('.')).toEqual([]);
  });
});
