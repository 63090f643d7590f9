import { afterEach, beforeEach, expect, test } from 'vitest';
import { Ec2Client } from '../../src/clients/ec2.ts';
import { describe as describeError } from '../../src/errors.ts';
import { type Ec2StandIn, startEc2StandIn } from '../parts/ec2.ts';
import { instanceId } from '../parts/world.ts';

let api: Ec2StandIn;
let client: Ec2Client;

beforeEach(async () => {
  api = await startEc2StandIn();
  client = new Ec2Client({ ...api.options, pauseMs: 0 });
});

afterEach(() => {
  client?.close();
  api?.stop();
});

test('an instance has the state that EC2 shows, and none where EC2 has no such instance', async () => {
  api.instances.set(instanceId(1), 'running').set(instanceId(2), 'terminated');
  const ids = [1, 2, 3].map(instanceId);
  const states = await Promise.all(ids.map(id => client.instanceState(id)));
  expect(states).toEqual(['running', 'terminated', undefined]);
});

test('many who ask at once share calls of at most a hundred ids, and who asks for the same shares its place', async () => {
  const ids = Array.from({ length: 250 }, (_, at) => instanceId(at));
  for (const id of ids) api.instances.set(id, 'terminated');
  const states = await Promise.all([...ids, ...ids].map(id => client.instanceState(id)));
  expect(states).toEqual([...ids, ...ids].map(() => 'terminated'));
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
  const states = await Promise.all([1, 2].map(number => client.instanceState(instanceId(number))));
  expect(states).toEqual(['running', undefined]);
  expect(api.asked.at(-1)?.ids).toEqual([instanceId(1)]);
});

test('all instances are listed, page by page', async () => {
  api.pageSize = 2;
  for (const number of [1, 2, 3, 4, 5]) api.instances.set(instanceId(number), 'running');
  expect(await client.instances()).toEqual(api.instances);
  expect(api.asked).toHaveLength(3);
});

test('throttling is survived', async () => {
  api.instances.set(instanceId(1), 'running');
  api.refuseNext('RequestLimitExceeded', 'Request limit exceeded.', 503);
  expect(await client.instanceState(instanceId(1))).toBe('running');
});

test.each([
  ['UnauthorizedOperation', 403, 'permission'],
  ['AuthFailure', 401, 'credentials'],
  ['InvalidParameterValue', 400, 'rejected'],
] as const)('%s is told apart', async (code, status, expected) => {
  api.refuseNext(code, 'You are not allowed.', status);
  const error = await client.instanceState(instanceId(1)).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: expected });
  expect(describeError(error)).toContain('ec2:DescribeInstances');
});

test('an EC2 that cannot be reached is told to whoever asked, and asked again by the next', async () => {
  api.unreachable(true);
  await expect(client.instanceState(instanceId(1))).rejects.toMatchObject({ code: 'unavailable' });
  api.unreachable(false);
  api.instances.set(instanceId(1), 'stopped');
  expect(await client.instanceState(instanceId(1))).toBe('stopped');
});
