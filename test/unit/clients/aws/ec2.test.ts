import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Ec2Client } from '../../../../src/clients/aws/ec2.ts';
import { describe as describeError } from '../../../../src/domain/errors.ts';
import { type Ec2StandIn, startEc2StandIn } from '../../../support/ec2.ts';
import { instanceId } from '../../../support/termination.ts';

let api: Ec2StandIn;
let client: Ec2Client;

beforeEach(async () => {
  api = await startEc2StandIn();
  client = new Ec2Client({ ...api.options, pauseMs: 0 });
});

afterEach(() => {
  vi.unstubAllEnvs();
  client?.close();
  api?.stop();
});

test('an instance has the state that EC2 shows, and none where EC2 has no such instance', async () => {
  api.instances.set(instanceId(1), 'running').set(instanceId(2), 'terminated');
  const ids = [1, 2, 3].map(instanceId);
  const where = { region: 'eu-west-1', account: api.account };
  expect(await Promise.all(ids.map(id => client.instanceState(id)))).toEqual([
    { state: 'running', ...where },
    { state: 'terminated', ...where },
    { state: undefined, ...where },
  ]);
});

test('many who ask at once share calls of at most a hundred ids, and who asks for the same shares its place', async () => {
  const ids = Array.from({ length: 250 }, (_, at) => instanceId(at));
  for (const id of ids) api.instances.set(id, 'terminated');
  const answers = await Promise.all([...ids, ...ids].map(id => client.instanceState(id)));
  expect(answers.map(({ state }) => state)).toEqual([...ids, ...ids].map(() => 'terminated'));
  expect(api.asked.map(({ ids: asked }) => asked.length)).toEqual([100, 100, 50]);
});

test('each region is asked for its own', async () => {
  await Promise.all([client.instanceState(instanceId(1)), client.instanceState(instanceId(2), 'ap-south-1')]);
  expect(api.asked.map(({ region, ids }) => [region, ids]).sort()).toEqual([
    ['ap-south-1', [instanceId(2)]],
    ['eu-west-1', [instanceId(1)]],
  ]);
});

test('an instance that EC2 forgets in the middle of a call does not hide the others', async () => {
  api.instances.set(instanceId(1), 'running');
  api.refuseNext('InvalidInstanceID.NotFound', `The instance ID '${instanceId(2)}' does not exist`);
  const answers = await Promise.all([1, 2].map(number => client.instanceState(instanceId(number))));
  expect(answers.map(({ state }) => state)).toEqual(['running', undefined]);
  expect(api.asked.at(-1)?.ids).toEqual([instanceId(1)]);
});

test('all instances are listed, page by page', async () => {
  api.pageSize = 2;
  for (const number of [1, 2, 3, 4, 5]) api.instances.set(instanceId(number), 'running');
  expect(await client.instances()).toEqual({
    states: api.instances,
    region: 'eu-west-1',
    account: api.account,
  });
  expect(api.asked).toHaveLength(3);
});

test('throttling is survived', async () => {
  api.instances.set(instanceId(1), 'running');
  api.refuseNext('RequestLimitExceeded', 'Request limit exceeded.', 503);
  expect(await client.instanceState(instanceId(1))).toMatchObject({ state: 'running' });
});

test.each([
  ['UnauthorizedOperation', 403, 'permission'],
  ['AuthFailure', 401, 'credentials'],
  ['InvalidParameterValue', 400, 'rejected'],
] as const)('%s is distinguished', async (code, status, expected) => {
  api.refuseNext(code, 'You are not allowed.', status);
  const error = await client.instanceState(instanceId(1)).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: expected });
  expect(describeError(error)).toContain('ec2:DescribeInstances');
});

test('an EC2 that cannot be reached is thrown to the caller, and asked again by the next', async () => {
  api.unreachable(true);
  await expect(client.instanceState(instanceId(1))).rejects.toMatchObject({ code: 'unavailable' });
  api.unreachable(false);
  api.instances.set(instanceId(1), 'stopped');
  expect(await client.instanceState(instanceId(1))).toMatchObject({ state: 'stopped' });
});

describe('the account that was asked', () => {
  const stsCalls = () => api.askedElse.filter(({ service }) => service === 'sts');

  test('is the owner of the instances that were seen in the region, and STS is not asked', async () => {
    api.account = '000000000001';
    api.instances.set(instanceId(1), 'running');
    await client.instanceState(instanceId(1));
    expect(await client.instanceState(instanceId(2))).toEqual({
      state: undefined,
      region: 'eu-west-1',
      account: '000000000001',
    });
    expect(stsCalls()).toEqual([]);
  });

  test('is found by STS, once for all regions, if EC2 has shown no instance', async () => {
    api.account = '000000000001';
    for (const region of [undefined, 'ap-south-1', undefined]) {
      expect((await client.instanceState(instanceId(2), region)).account).toBe('000000000001');
    }
    expect(await client.instances('us-east-1')).toEqual({
      states: new Map(),
      region: 'us-east-1',
      account: '000000000001',
    });
    expect(stsCalls()).toMatchObject([{ region: 'eu-west-1', form: { Action: 'GetCallerIdentity' } }]);
  });

  test('is not known if STS does not answer, and EC2’s answer counts all the same', async () => {
    api.sts = false;
    const unknown = { state: undefined, region: 'eu-west-1', account: undefined };
    expect(await client.instanceState(instanceId(2))).toEqual(unknown);
    const calls = stsCalls().length;
    expect(await client.instanceState(instanceId(2))).toEqual(unknown);
    expect(stsCalls()).toHaveLength(calls);
  });

  test('is not known if EC2 names several', async () => {
    api.instances.set(instanceId(1), 'running');
    await client.instances();
    api.account = '000000000002';
    expect((await client.instanceState(instanceId(1))).account).toBeUndefined();
  });
});

test('the configured region is named, also if only the SDK knows it', async () => {
  const { region, ...options } = api.options;
  vi.stubEnv('AWS_REGION', 'sa-east-1');
  const other = new Ec2Client({ ...options, pauseMs: 0 });
  expect((await other.instanceState(instanceId(1))).region).toBe('sa-east-1');
  expect((await other.instances()).region).toBe('sa-east-1');
  other.close();
  expect(region).not.toBe('sa-east-1');
});

const ANSWER = (content: string) =>
  `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId>${content}</DescribeInstancesResponse>`;
const INSTANCES = (content: string) =>
  ANSWER(
    `<reservationSet><item><ownerId>1</ownerId><instancesSet><item>${content}</item></instancesSet></item></reservationSet>`,
  );

test.each([
  ['no text', '', 'no list'],
  ['a page of a proxy', '<html><body>Please log in</body></html>', 'no list'],
  ['no list of reservations', ANSWER(''), 'no list'],
  ['an instance without id', INSTANCES('<instanceState><name>running</name></instanceState>'), 'no id'],
  ['an instance without state', INSTANCES(`<instanceId>${instanceId(1)}</instanceId>`), 'no state'],
  ['half a text', '<DescribeInstancesResponse><reservationSet><item>', 'ec2:DescribeInstances'],
])('an answer that is not whole is an error, and no word about an instance: %s', async (_, answer, why) => {
  api.answerNext(answer);
  const one = await client.instanceState(instanceId(1)).catch((error: unknown) => error);
  expect(one).toMatchObject({ code: 'unavailable' });
  expect(describeError(one)).toContain(why);
  api.answerNext(answer);
  await expect(client.instances()).rejects.toMatchObject({ code: 'unavailable' });
});

test('a page that fails makes the whole list fail', async () => {
  api.pageSize = 2;
  for (const number of [1, 2, 3]) api.instances.set(instanceId(number), 'running');
  api.answerNext(ANSWER(''), 1);
  await expect(client.instances()).rejects.toMatchObject({ code: 'unavailable' });
  expect(api.asked).toHaveLength(2);
});
