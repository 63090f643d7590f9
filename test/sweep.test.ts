import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseLiving } from '../src/cli/living.ts';
import { findGhosts } from '../src/ghosts.ts';
import { type ApiClient, apiClient } from './parts/api-client.ts';
import { nodeOf, registerNode } from './parts/chef-server.ts';
import { type Ec2StandIn, startEc2StandIn } from './parts/ec2.ts';
import { until } from './parts/process.ts';
import { startTestService, testEnvironment } from './parts/service.ts';
import { instanceId, startWorld, type World } from './parts/world.ts';

const MAIN = new URL('../src/cli/main.ts', import.meta.url).pathname;
const DAY = 86_400_000;
const ago = (days: number) => new Date(Date.now() - days * DAY);
/** Node -> days since chef-client last ran there, and what EC2 says of its instance. */
const NODES = {
  young: { days: 2, state: undefined },
  old: { days: 40, state: 'terminated' },
  alive: { days: 0, state: 'running' },
  sleeping: { days: 90, state: 'stopped' },
  well: { days: 0, state: 'running' },
};

let world: World;
let ec2: Ec2StandIn;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  [world, ec2] = await Promise.all([startWorld({ hosts: ['watched'] }), startEc2StandIn()]);
  env = testEnvironment({ ...world.env, ...ec2.env });
  for (const [at, [name, { days, state }]] of Object.entries(NODES).entries()) {
    await registerNode(world.chef, { name, instanceId: instanceId(at), ohaiTime: ago(days) });
    if (state) ec2.instances.set(instanceId(at), state);
  }
  await registerNode(world.chef, { name: 'hardware' });
  const elsewhere = { instance_id: instanceId(100), region: 'us-east-1' };
  await registerNode(world.chef, { name: 'elsewhere', automatic: { ec2: elsewhere } });
});

afterAll(async () => {
  ec2?.stop();
  await world?.stop();
});

/** The command as people type it. */
async function run(args: string[], input = '', more: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [MAIN, 'sweep', ...args], {
    env: { PATH: process.env['PATH'], ...env, ...more },
  });
  child.stdin.end(input);
  const [out, err, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise(resolve => child.once('close', resolve)),
  ]);
  return { out, err, status };
}

/** Ids of the instances of these nodes, as the AWS CLI prints them. */
function living(...names: (keyof typeof NODES)[]): string {
  return JSON.stringify(names.map(name => instanceId(Object.keys(NODES).indexOf(name))));
}

describe('a sweep', () => {
  test('shows the nodes whose instance ended, the longest unseen first, and changes nothing', async () => {
    ec2.pageSize = 2;
    const { out, err, status } = await run([]);
    expect({ err, status }).toEqual({ err: '', status: 0 });
    const lines = out.split('\n');
    expect(lines[0]).toMatch(/^NODE +INSTANCE +UNSEEN FOR +LAST SEEN +REASON$/);
    expect(lines[1]).toMatch(/^old +i-0{16}1 +40 d +\d{4}-\S+Z +EC2 says terminated$/);
    expect(lines[2]).toMatch(/^young +i-0{17} +2 d +\d{4}-\S+Z +EC2 does not know it$/);
    expect(lines[3]).toBe('2 ghosts among 7 nodes');
    expect(out).toMatch(/hardware +has no ec2.instance_id/);
    expect(out).toMatch(/elsewhere +is in us-east-1, which was not asked/);
    expect(out).not.toContain('sleeping');
    for (const name of Object.keys(NODES)) expect(await world.chef.chef.getNode(name)).toBeDefined();
  });

  test('takes the living from standard input, and tells programs in JSON', async () => {
    const { out, status } = await run(
      ['--living', '-', '--json'],
      living('old', 'alive', 'sleeping', 'well'),
    );
    expect(status).toBe(0);
    const { nodes, ghosts, apart } = JSON.parse(out);
    expect({ nodes, apart: apart.length }).toEqual({ nodes: 7, apart: 1 });
    expect(ghosts).toMatchObject([
      { node: 'young', instanceId: instanceId(0), reason: 'not in the list of living instances' },
      { node: 'elsewhere', instanceId: instanceId(100) },
    ]);
    expect(ghosts[0].ageSeconds).toBeGreaterThanOrEqual((2 * DAY) / 1000);
  });

  test('asks EC2 in each region that is named', async () => {
    ec2.asked.length = 0;
    const { out } = await run(['--region', 'eu-west-1', '--region', 'us-east-1', '--json']);
    expect(new Set(ec2.asked.map(({ region }) => region))).toEqual(new Set(['eu-west-1', 'us-east-1']));
    expect(JSON.parse(out).ghosts.map((ghost: { node: string }) => ghost.node)).toContain('elsewhere');
  });

  test.each([
    [['--living', '-'], 'i-0a1b2c3d4e5f60718\nweb-1\n', '"web-1" in line 2: no instance id'],
    [['--living', '/nowhere/list'], '', '/nowhere/list cannot be read'],
    [['--aply'], '', "Unknown option '--aply'"],
    [['--living', '-', '--region', 'eu-west-1'], '', '--region goes with EC2'],
  ])('that cannot be understood says why: %j', async (args, input, said) => {
    const { out, err, status } = await run(args, input);
    expect({ out, status }).toEqual({ out: '', status: 2 });
    expect(err).toContain(said);
  });

  test('that cannot reach EC2, or may not ask it, says so', async () => {
    ec2.refuseNext('UnauthorizedOperation', 'You are not authorized to perform this operation.', 403);
    const { err, status } = await run([]);
    expect(status).toBe(1);
    expect(err).toContain('AWS does not allow ec2:DescribeInstances');
  });
});

describe('applying a sweep', () => {
  test.each([
    ['a list that is empty', '', 'no instance lives at all'],
    ['a list that is too short', living('alive'), '5 of 7 nodes would be ghosts'],
  ])('is refused for %s', async (_, input, said) => {
    const { err, status } = await run(['--living', '-', '--apply'], input);
    expect(status).toBe(3);
    expect(err).toContain(`nothing was applied: ${said}`);
  });

  test('hands the ghosts to the service, whose guards look at each', async () => {
    const service = await startTestService({ ...env, PROTECTED_NODES: 'old' });
    const api: ApiClient = apiClient(service.url);
    const { out, status } = await run(['--apply']);
    expect(status).toBe(0);
    expect(out).toMatch(/^NODE +JOB +OUTCOME\nold +\S+ +accepted\nyoung +\S+ +accepted$/m);
    const jobs = await api.settled(['done', 'held']);
    expect(jobs.map(({ node, state, requestedBy }) => [node, state, requestedBy]).sort()).toEqual([
      ['old', 'held', 'sweep'],
      ['young', 'done', 'sweep'],
    ]);
    expect(await world.chef.chef.getNode('young')).toBeUndefined();
    expect(await world.chef.chef.getNode('old')).toBeDefined();

    // A ghost of a death that was dealt with: its job takes it up again.
    await world.chef.chef.createNode(nodeOf({ name: 'young', instanceId: instanceId(0), ohaiTime: ago(2) }));
    const again = await run(['--apply', '--json']);
    expect(
      JSON.parse(again.out).applied.map(({ node, outcome }: Record<string, string>) => [node, outcome]),
    ).toEqual([
      ['old', 'known already, held'],
      ['young', 'taken up again'],
    ]);
    await until('young to be gone', async () => !(await world.chef.chef.getNode('young')));
    await service.close('end of the test');
  });
});

test('a list of instance ids is read however it is written', () => {
  const id = fc.integer({ min: 0, max: 1e9 }).map(instanceId);
  const written = fc.constantFrom<(ids: string[]) => string>(
    ids => ids.join('\n'),
    ids => ids.join('\t'),
    ids => JSON.stringify(ids, null, 2),
    ids => `${ids.join(', ')}\r\n`,
  );
  fc.assert(
    fc.property(fc.array(id), written, (ids, write) => {
      expect([...parseLiving(write(ids)).keys()]).toEqual([...new Set(ids)]);
    }),
  );
});

test('a node whose instance lives, or has none, is never a ghost', () => {
  const node = fc.record({
    name: fc.string(),
    instance: fc.oneof(fc.integer({ min: 0, max: 9 }).map(instanceId), fc.anything()),
    ohaiTime: fc.anything(),
    region: fc.anything(),
  });
  const states = new Map([0, 1, 2, 3, 4].map(number => [instanceId(number), 'running']));
  fc.assert(
    fc.property(fc.array(node), nodes => {
      const { ghosts } = findGhosts(nodes, { states, regions: undefined, unknown: '' }, 'ec2.instance_id');
      for (const { instanceId: id } of ghosts) expect(states.has(id)).toBe(false);
      const dead = nodes.filter(({ instance }) =>
        /^i-0{16}[5-9]$/.test(String(typeof instance === 'string' && instance)),
      );
      expect(ghosts).toHaveLength(dead.length);
    }),
  );
});
