import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { nodeOf, registerNode } from '../support/chef-server.ts';
import { type Ec2StandIn, startEc2StandIn } from '../support/ec2.ts';
import { until } from '../support/process.ts';
import { startTestService, testEnvironment } from '../support/service.ts';
import { instanceId } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.now();
const ago = (ms: number) => new Date(START - ms);
const ACCOUNT = '000000000001';
const REGION = 'eu-west-1';
/** What Ohai says of hosts in the account and region that are asked. */
const HERE = { account_id: ACCOUNT, region: REGION };

interface Host {
  /** How long ago chef-client ran there, in milliseconds; never if undefined. */
  seen?: number;
  /** What EC2 says of its instance. */
  state?: string;
  ec2?: object;
}

const HOSTS = {
  young: { seen: 2 * DAY, ec2: HERE },
  old: { seen: 40 * DAY, state: 'terminated' },
  'old-ohai': {
    seen: 3 * DAY,
    ec2: {
      placement_availability_zone: `${REGION}b`,
      network_interfaces_macs: { '02:00': { owner_id: ACCOUNT } },
    },
  },
  alive: { seen: 0, state: 'running' },
  sleeping: { seen: 90 * DAY, state: 'stopped', ec2: HERE },
  well: { seen: 0, state: 'running', ec2: HERE },
  // Of these it is not known whether their instances have ended.
  'seen-lately': { seen: HOUR, ec2: HERE },
  'another-account': { seen: DAY, ec2: { ...HERE, account_id: '000000000002' } },
  'no-account': { seen: DAY, ec2: { region: REGION } },
  'no-region': { seen: DAY, ec2: { account_id: ACCOUNT } },
  elsewhere: { seen: DAY, ec2: { ...HERE, region: 'us-east-1' } },
  'never-seen': { state: 'terminated', ec2: HERE },
  'strange-state': { seen: DAY, state: 'resting', ec2: HERE },
} satisfies Record<string, Host>;
type HostName = keyof typeof HOSTS;
const ids = new Map(Object.keys(HOSTS).map((name, at) => [name, instanceId(at)]));
const idOf = (name: HostName) => ids.get(name) ?? '';
const ORPHANS: HostName[] = ['old', 'old-ohai', 'young'];
const ALL = Object.keys(HOSTS).length + 1;

let world: World;
let ec2: Ec2StandIn;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  [world, ec2] = await Promise.all([startWorld({ hosts: ['watched'] }), startEc2StandIn()]);
  ec2.account = ACCOUNT;
  env = testEnvironment({ ...world.env, ...ec2.env });
  for (const [name, host] of Object.entries<Host>(HOSTS)) await registerNode(world.chef, hostOf(name, host));
  await registerNode(world.chef, { name: 'hardware' });
});

beforeEach(() => {
  ec2.pageSize = 2;
  ec2.asked.length = 0;
  ec2.instances.clear();
  for (const [name, { state }] of Object.entries<Host>(HOSTS)) {
    if (state !== undefined) ec2.instances.set(ids.get(name) ?? '', state);
  }
});

function hostOf(name: string, { seen, ec2 }: Host) {
  const id = ids.get(name) ?? '';
  const automatic = {
    ec2: { instance_id: id, ...ec2 },
    ohai_time: seen === undefined ? undefined : ago(seen).getTime() / 1000,
  };
  return { name, instanceId: id, automatic };
}

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
function living(...names: HostName[]): string {
  return JSON.stringify(names.map(idOf));
}

describe('a sweep', () => {
  test('shows the nodes whose instance ended, the longest unseen first, and changes nothing', async () => {
    const { out, err, status } = await run([]);
    expect({ err, status }).toEqual({ err: '', status: 0 });
    const lines = out.split('\n');
    expect(lines[0]).toMatch(/^NODE +INSTANCE +UNSEEN FOR +LAST SEEN +REASON$/);
    expect(lines[1]).toMatch(/^old +i-0{16}1 +40 d +\d{4}-\S+Z +EC2 says terminated$/);
    const forgotten = 'EC2 in eu-west-1 of account 000000000001 does not know it';
    expect(lines[2]).toMatch(new RegExp(`^old-ohai +i-0{16}2 +3 d +\\d{4}-\\S+Z +${forgotten}$`));
    expect(lines[3]).toMatch(new RegExp(`^young +i-0{17} +2 d +\\d{4}-\\S+Z +${forgotten}$`));
    expect(lines[4]).toBe(`3 orphaned nodes among ${ALL} nodes`);
    for (const name of Object.keys(HOSTS)) expect(await world.chef.chef.getNode(name)).toBeDefined();
  });

  test('lists apart, with the reason, each node whose instance may live', async () => {
    const { out } = await run(['--json']);
    const apart: { node: string; reason: string }[] = JSON.parse(out).apart;
    const reasons = Object.fromEntries(apart.map(({ node, reason }) => [node, reason]));
    const forgotten = 'EC2 in eu-west-1 of account 000000000001 does not know it, but';
    expect(reasons).toEqual({
      hardware: 'has no ec2.instance_id',
      'seen-lately': expect.stringMatching(
        `${forgotten} chef-client ran on the node at .*less than 2 hours ago`,
      ),
      'another-account': `${forgotten} the node is in account 000000000002`,
      'no-account': `${forgotten} the node does not say which account it is in (ec2.account_id)`,
      'no-region': `${forgotten} the node does not say which region it is in (ec2.region)`,
      elsewhere: `${forgotten} the node is in us-east-1`,
      'never-seen':
        'EC2 says terminated, but it is not known when chef-client last ran on the node (ohai_time)',
      'strange-state': 'EC2 says resting, which this version does not understand',
    });
  });

  test('takes a person’s word for which instances live, but for nodes that were seen lately or never', async () => {
    const list = living('old', 'alive', 'sleeping', 'well', 'elsewhere');
    const { out, status } = await run(['--living', '-', '--json'], list);
    expect(status).toBe(0);
    const { nodes, orphans, apart } = JSON.parse(out);
    expect(nodes).toBe(ALL);
    expect(orphans.map(({ node }: { node: string }) => node).sort()).toEqual([
      'another-account',
      'no-account',
      'no-region',
      'old-ohai',
      'strange-state',
      'young',
    ]);
    expect(orphans[0]).toMatchObject({ node: 'old-ohai', reason: 'not in the list of living instances' });
    expect(orphans[0].ageSeconds).toBeGreaterThanOrEqual((3 * DAY) / 1000);
    expect(apart.map(({ node }: { node: string }) => node)).toEqual(
      expect.arrayContaining(['hardware', 'seen-lately', 'never-seen']),
    );
    expect(apart).toHaveLength(3);
    expect(ec2.asked).toEqual([]);
  });

  test('asks EC2 in each region that is named', async () => {
    const { out } = await run(['--region', 'eu-west-1', '--region', 'us-east-1', '--json']);
    expect(new Set(ec2.asked.map(({ region }) => region))).toEqual(new Set(['eu-west-1', 'us-east-1']));
    const orphans: { node: string }[] = JSON.parse(out).orphans;
    expect(orphans.map(({ node }) => node).sort()).toEqual(['elsewhere', ...ORPHANS].sort());
  });

  test.each([
    [['--living', '-'], 'i-0a1b2c3d4e5f60718\nweb-1\n', '"web-1" in line 2; it is not an instance id'],
    [['--living', '-'], ' \n[]', 'the list of living instances - is empty'],
    [['--living', '-', '--apply', '--most-are-dead'], '', 'the list of living instances - is empty'],
    [['--living', '/nowhere/list'], '', '/nowhere/list cannot be read'],
    [['--region', 'eu-west-1a'], '', '"eu-west-1a" is not an AWS region'],
    [['--aply'], '', "Unknown option '--aply'"],
    [['--living', '-', '--region', 'eu-west-1'], '', 'give only one'],
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

  test('takes an empty list of EC2 for no end of any instance', async () => {
    ec2.instances.clear();
    const { out, status } = await run(['--apply', '--most-are-dead', '--json']);
    expect(status).toBe(0);
    const { orphans, apart } = JSON.parse(out);
    expect(orphans).toEqual([]);
    expect(apart).toContainEqual({
      node: 'young',
      reason: 'EC2 in eu-west-1 of account 000000000001 lists no instance at all',
    });
  });
});

describe('applying a sweep', () => {
  const registered = async (name: string) =>
    (await world.chef.chef.getNode(name)) !== undefined &&
    (await world.chef.chef.getClient(name)) !== undefined;

  test('is refused for a list that is too short', async () => {
    const { err, status } = await run(['--living', '-', '--apply'], living('alive'));
    expect(status).toBe(3);
    expect(err).toContain(`nothing was applied: 9 of ${ALL} nodes would be deleted`);
  });

  test.each([
    ['an error', () => ec2.refuseNext('InternalError', 'later', 400, 1)],
    ['a page that is not EC2’s', () => ec2.answerNext('<html>Please log in</html>', 1)],
  ])('is ended, with nothing applied, by %s on a later page of EC2', async (_, arrange) => {
    arrange();
    const { out, err, status } = await run(['--apply']);
    expect({ out, status }).toEqual({ out: '', status: 1 });
    expect(err).toContain('ec2:DescribeInstances');
    expect(ec2.asked.length).toBeGreaterThan(1);
  });

  test('hands the orphaned nodes to the service, whose guards look at each, and no other', async () => {
    const { out, status } = await run(['--apply']);
    expect(status).toBe(0);
    expect(out).toMatch(
      /^NODE +JOB +OUTCOME\nold +\S+ +accepted\nold-ohai +\S+ +accepted\nyoung +\S+ +accepted$/m,
    );
    // chef-client runs on one of them after the sweep.
    const automatic = { ...hostOf('old-ohai', { ...HOSTS['old-ohai'], seen: 0 }).automatic };
    await world.chef.chef.updateNode(nodeOf({ name: 'old-ohai', automatic }));

    const service = await startTestService({ ...env, PROTECTED_NODES: 'old' });
    const api: ApiClient = apiClient(service.url);
    const jobs = await api.settled(['done', 'held']);
    expect(jobs.map(({ node, state, requestedBy }) => [node, state, requestedBy]).sort()).toEqual([
      ['old', 'held', 'sweep'],
      ['old-ohai', 'held', 'sweep'],
      ['young', 'done', 'sweep'],
    ]);
    expect(jobs.find(({ node }) => node === 'old-ohai')?.error?.message).toContain('chef-client ran');
    for (const name of Object.keys(HOSTS))
      expect([name, await registered(name)]).toEqual([name, name !== 'young']);

    // The node is saved again as it was, after its job is done: the job runs again.
    await world.chef.chef.createNode(nodeOf(hostOf('young', HOSTS.young)));
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
