import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type AwsFront, startAwsFront } from '../../support/aws-front.ts';
import { registerNode } from '../../support/chef-server.ts';
import { type Ec2StandIn, startEc2StandIn } from '../../support/ec2.ts';
import { GONE, minutesAgo, useScene, WHOLE } from '../../support/scene.ts';
import { instanceId } from '../../support/termination.ts';

const scene = useScene();
let ec2: Ec2StandIn;
let waiting: AwsFront;
let inService: AwsFront;

beforeAll(async () => {
  ec2 = await startEc2StandIn();
  const behind = { ec2: ec2.options.endpoint };
  waiting = await startAwsFront({ behind, lifecycleState: 'Terminating:Wait' });
  inService = await startAwsFront({ behind, lifecycleState: 'InService' });
});
beforeEach(() => {
  waiting.asked.length = 0;
  inService.asked.length = 0;
  ec2.instances.clear();
});
afterAll(() => {
  waiting?.stop();
  inService?.stop();
  ec2?.stop();
});

function hookNotice(instance: string, hook = 'deregister'): object {
  return {
    LifecycleHookName: hook,
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
    LifecycleActionToken: `00000000-0000-4000-8000-00000000000${hook.length % 10}`,
    AutoScalingGroupName: 'web-asg',
    Service: 'AWS Auto Scaling',
    EC2InstanceId: instance,
  };
}

function ec2Notice(instance: string, state: string): object {
  return {
    version: '0',
    id: '00000000-0000-4000-8000-000000000011',
    'detail-type': 'EC2 Instance State-change Notification',
    source: 'aws.ec2',
    account: '000000000000',
    region: 'eu-west-1',
    resources: [],
    detail: { 'instance-id': instance, state },
  };
}

const publishedAgo = (minutes: number) => ({ Timestamp: minutesAgo(minutes).toISOString() });

function completedHooks({ asked }: AwsFront): (string | undefined)[] {
  return asked
    .filter(({ form }) => form['Action'] === 'CompleteLifecycleAction')
    .map(({ form }) => form['LifecycleHookName']);
}

test('a node that is held because chef-client ran in Terminating:Wait is deleted when EC2 tells of the end', async () => {
  const host = { name: 'ran-while-waiting', instanceId: instanceId(2), ohaiTime: minutesAgo(2) };
  await registerNode(scene.world.chef, host);
  const service = await scene.serve(waiting.env);
  const { jobId } = await service.publish(hookNotice(host.instanceId), publishedAgo(25));
  await service.api.finished(jobId, 'held');
  await service.publish(ec2Notice(host.instanceId, 'terminated'));
  await service.rested();
  expect(await scene.registered(host.name)).toEqual(GONE);
});

test('a node that registers again in Terminating:Wait after its deletion is deleted when EC2 tells of the end', async () => {
  const host = { name: 'registered-again', instanceId: instanceId(3) };
  await registerNode(scene.world.chef, { ...host, ohaiTime: minutesAgo(52) });
  const service = await scene.serve(waiting.env);
  const { jobId } = await service.publish(hookNotice(host.instanceId), publishedAgo(50));
  await service.api.finished(jobId);
  await registerNode(scene.world.chef, { ...host, ohaiTime: minutesAgo(10) });
  await scene.looksDone(service);
  await service.publish(ec2Notice(host.instanceId, 'terminated'));
  await expect.poll(() => scene.registered(host.name), { timeout: 15_000 }).toEqual(GONE);
});

test.each([
  ['first', ['chef-deregister', 'ecs-drain']],
  ['last', ['ecs-drain', 'chef-deregister']],
])(
  'of two hooks of a group only the one in LIFECYCLE_HOOKS is completed, if it is published %s',
  async (when, hooks) => {
    const instance = instanceId(when === 'first' ? 4 : 5);
    await registerNode(scene.world.chef, { name: `published-${when}`, instanceId: instance });
    const service = await scene.serve({ ...waiting.env, LIFECYCLE_HOOKS: 'chef-deregister' });
    for (const hook of hooks) {
      await service.publish(hookNotice(instance, hook));
      await service.rested();
    }
    expect(await scene.registered(`published-${when}`)).toEqual(GONE);
    expect(completedHooks(waiting)).toEqual(['chef-deregister']);
  },
);

test('two hooks of a group are both completed if both are in LIFECYCLE_HOOKS', async () => {
  const instance = instanceId(6);
  await registerNode(scene.world.chef, { name: 'two-hooks', instanceId: instance });
  const service = await scene.serve({ ...waiting.env, LIFECYCLE_HOOKS: 'web-asg/*' });
  await service.publish(hookNotice(instance, 'one'));
  await service.publish(hookNotice(instance, 'another'));
  await expect.poll(() => completedHooks(waiting).sort(), { timeout: 15_000 }).toEqual(['another', 'one']);
});

test('a lifecycle notice from a place where hosts may write deletes once Auto Scaling confirms it', async () => {
  const instance = instanceId(7);
  ec2.instances.set(instance, 'running');
  await registerNode(scene.world.chef, { name: 'confirmed', instanceId: instance });
  const service = await scene.serve({ ...waiting.env, HOST_TOPIC_ARNS: scene.world.publisher.topicArn });
  const { jobId } = await service.publish(hookNotice(instance));
  await service.api.finished(jobId);
  expect(await scene.registered('confirmed')).toEqual(GONE);
  expect(completedHooks(waiting)).toEqual(['deregister']);
});

test('a forged lifecycle notice neither deletes nor completes a hook while Auto Scaling says InService', async () => {
  const instance = instanceId(8);
  ec2.instances.set(instance, 'running');
  await registerNode(scene.world.chef, { name: 'in-service', instanceId: instance });
  const service = await scene.serve({ ...inService.env, HOST_TOPIC_ARNS: scene.world.publisher.topicArn });
  const { jobId } = await service.publish(hookNotice(instance));
  const held = await service.api.finished(jobId, 'held');
  expect(held.reasons).toMatchObject([{ code: 'alive', by: 'ec2' }]);
  expect(await scene.registered('in-service')).toEqual(WHOLE);
  expect(completedHooks(inService)).toEqual([]);
});
