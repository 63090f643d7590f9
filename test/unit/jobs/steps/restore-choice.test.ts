import { beforeEach, describe, expect, test } from 'vitest';
import type { Archive } from '../../../../src/clients/archive/archive.ts';
import { openFileArchive } from '../../../../src/clients/archive/file/archive.ts';
import { attribute } from '../../../../src/domain/chef-node.ts';
import { chooseArchives, type Wish } from '../../../../src/jobs/steps/restore-choice.ts';
import { freshDirectory } from '../../../support/process.ts';

const [ONE, TWO] = ['i-00000001', 'i-00000002'];
let clock: Date;
let archive: Archive;

beforeEach(() => {
  clock = new Date('2026-03-02T10:00:00Z');
  archive = openFileArchive(freshDirectory('choice'), { now: () => clock });
});

/** Saves what a deletion found, a minute after the one before. */
function save(found: { node?: string | 'unknown'; client?: true; event?: string }): Promise<string> {
  clock = new Date(clock.getTime() + 60_000);
  const ec2 = found.node === 'unknown' ? {} : { instance_id: found.node };
  return archive.save({
    node: 'web-1',
    instanceId: found.event,
    job: 'j1',
    event: {},
    chef: {
      node: found.node ? JSON.stringify({ name: 'web-1', automatic: { ec2 } }) : null,
      client: found.client ? '{"name":"web-1"}' : null,
      clientKeys: [],
    },
  });
}

async function choose(
  wish: Partial<Wish> = {},
): Promise<[node: string | undefined, client: string | undefined]> {
  const whole = { node: 'web-1', instanceId: null, archive: undefined, ...wish };
  const { node, client } = await chooseArchives(whole, {
    archive,
    attribute,
    instanceAttribute: 'ec2.instance_id',
  });
  return [node?.id, client?.id];
}

describe('a node is restored from', () => {
  test('the newest archive that has it, its client from the newest that has that', async () => {
    await save({ node: ONE, client: true });
    const client = await save({ client: true });
    const node = await save({ node: ONE });
    expect(await choose()).toEqual([node, client]);
  });

  test('the newest archive that has it, also where an older one has its client as well', async () => {
    const whole = await save({ node: ONE, client: true });
    const newer = await save({ node: ONE });
    expect(await choose()).toEqual([newer, whole]);
  });

  test('the archives of the instance that asks, whatever is newer', async () => {
    const of = await save({ node: ONE, client: true });
    await save({ node: TWO, client: true });
    expect(await choose({ instanceId: ONE })).toEqual([of, of]);
  });

  test('the archives of one instance, the newest, if only the name is given', async () => {
    await save({ node: ONE, client: true });
    const newest = await save({ node: TWO });
    expect(await choose()).toEqual([newest, undefined]);
  });

  test('an archive whose event told the instance, where the node does not', async () => {
    const told = await save({ node: 'unknown', client: true, event: ONE });
    expect(await choose({ instanceId: ONE })).toEqual([told, told]);
  });

  test('nothing where there is nothing', async () => {
    expect(await choose({ instanceId: ONE })).toEqual([undefined, undefined]);
  });
});

describe('a restore is refused', () => {
  test.each([TWO, 'unknown'])('where the archives are of instance %s, and another asks', async node => {
    const id = await save({ node, client: true });
    await expect(choose({ instanceId: ONE })).rejects.toMatchObject({
      code: 'other-archive',
      message: expect.stringContaining(`"archive": "${id}"`),
    });
  });

  test('where the chosen archive is gone, of another node, or of another instance than is asked for', async () => {
    const id = await save({ node: ONE, client: true });
    const unknown = id.replace(/.{8}$/, '00000000');
    await expect(choose({ archive: unknown })).rejects.toMatchObject({ code: 'invalid' });
    await expect(choose({ archive: id, node: 'web-2' })).rejects.toMatchObject({ code: 'invalid' });
    await expect(choose({ archive: id, instanceId: TWO })).rejects.toMatchObject({ code: 'other-archive' });
    expect(await choose({ archive: id, instanceId: ONE })).toEqual([id, id]);
  });
});
