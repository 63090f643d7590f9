import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AwsFront, startAwsFront } from '../support/aws-front.ts';
import { registerNode } from '../support/chef-server.ts';
import { type Ec2StandIn, startEc2StandIn } from '../support/ec2.ts';
import { GONE, minutesAgo, type SceneService, useScene, WHOLE } from '../support/scene.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';

const scene = useScene();
let ec2: Ec2StandIn;
let aws: AwsFront;

beforeAll(async () => {
  ec2 = await startEc2StandIn();
  aws = await startAwsFront({ behind: { ec2: ec2.options.endpoint } });
});

afterAll(() => {
  aws?.stop();
  ec2?.stop();
});

test('a scene runs the service on real parts, and AWS answers at one endpoint', async () => {
  const instance = instanceId(1);
  const service = await scene.serve({ ...aws.env, VERIFY_EC2: 'true' });
  const { privateKey } = await registerNode(scene.world.chef, { name: 'web-1', instanceId: instance });
  expect(await scene.registered('web-1')).toEqual(WHOLE);
  ec2.instances.set(instance, 'terminated');
  const published = { Timestamp: minutesAgo(1).toISOString() };
  expect(await service.publish(terminationNotice(instance), published)).toMatchObject({ status: 200 });
  await service.rested();
  expect(await scene.registered('web-1')).toEqual(GONE);
  expect(ec2.asked.flatMap(({ ids }) => ids)).toContain(instance);
  await scene.looksDone(service);

  const ensure = scene.signed(privateKey, { method: 'ensure', chef_name: 'web-1', instance_id: instance });
  expect(await service.publishAsHost(ensure)).toMatchObject({ outcome: 'accepted' });
  await service.rested();
  expect(await scene.registered('web-1')).toEqual(WHOLE);
});

function lifecycleNotice(service: SceneService, instance: string) {
  return service.publish({
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
    EC2InstanceId: instance,
    AutoScalingGroupName: 'web-asg',
    LifecycleHookName: 'deregister',
  });
}

test('the scene keeps what Auto Scaling was asked, with the region', async () => {
  aws.asked.length = 0;
  const instance = instanceId(2);
  await registerNode(scene.world.chef, { name: 'web-2', instanceId: instance });
  const service = await scene.serve(aws.env);
  await lifecycleNotice(service, instance);
  await service.rested();
  const actions = aws.asked.map(({ region, form }) => [region, form['Action']]);
  expect(actions).toContainEqual(['eu-west-1', 'CompleteLifecycleAction']);
});
