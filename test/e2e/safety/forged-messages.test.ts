import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type AwsFront, startAwsFront } from '../../support/aws-front.ts';
import { registerNode } from '../../support/chef-server.ts';
import { type Ec2StandIn, startEc2StandIn } from '../../support/ec2.ts';
import { GONE, useScene, WHOLE } from '../../support/scene.ts';
import { instanceId, terminationNotice } from '../../support/termination.ts';

const scene = useScene();
let ec2: Ec2StandIn;
let aws: AwsFront;

beforeAll(async () => {
  ec2 = await startEc2StandIn();
  aws = await startAwsFront({ behind: { ec2: ec2.options.endpoint }, lifecycleState: 'InService' });
});

afterEach(() => ec2.instances.clear());

afterAll(() => {
  aws?.stop();
  ec2?.stop();
});

test('a host cannot have another one deleted by a notice in Auto Scaling’s form', async () => {
  const instance = instanceId(1);
  // A topic that is listed as both counts as one where hosts may write.
  const service = await scene.serve({ ...aws.env, HOST_TOPIC_ARNS: scene.world.publisher.topicArn });
  await registerNode(scene.world.chef, { name: 'spoken-for', instanceId: instance });
  ec2.instances.set(instance, 'running');
  await service.publish({ Event: 'autoscaling:EC2_INSTANCE_TERMINATE', EC2InstanceId: instance });
  await service.rested();
  expect(await scene.registered('spoken-for')).toEqual(WHOLE);
  const { body } = await service.api.request('GET', '/archives?node=spoken-for');
  expect(body).toMatchObject({ archives: [] });
});

test('with VERIFY_EC2 a lifecycle notice deletes no node whose instance is in service', async () => {
  const instance = instanceId(2);
  const service = await scene.serve({ ...aws.env, VERIFY_EC2: 'true' });
  await registerNode(scene.world.chef, { name: 'in-service', instanceId: instance });
  ec2.instances.set(instance, 'running');
  await service.publish({
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
    EC2InstanceId: instance,
    AutoScalingGroupName: 'web-asg',
    LifecycleHookName: 'deregister',
  });
  await service.rested();
  expect(await scene.registered('in-service')).toEqual(WHOLE);
});

test('an unsigned ensure does not keep a node that an ending host saved again', async () => {
  const host = { name: 'saved-again', instanceId: instanceId(3) };
  const service = await scene.serve();
  await registerNode(scene.world.chef, host);
  const { jobId } = await service.publish(terminationNotice(host.instanceId));
  await service.api.finished(jobId);
  const forged = {
    type: 'registration',
    method: 'ensure',
    chef_name: host.name,
    instance_id: host.instanceId,
  };
  expect(await service.publish(forged)).toMatchObject({ outcome: 'quarantined' });
  await registerNode(scene.world.chef, host);
  await scene.looksDone(service);
  await expect.poll(() => scene.registered(host.name), { timeout: 10_000 }).toEqual(GONE);
});

test('a forged Spot warning from a place where hosts may write silences no host that runs', async () => {
  const instance = instanceId(6);
  const service = await scene.serve({ ...aws.env, HOST_TOPIC_ARNS: scene.world.publisher.topicArn });
  await registerNode(scene.world.chef, { name: 'watched', instanceId: instance });
  ec2.instances.set(instance, 'running');
  const { jobId } = await service.publish({
    version: '0',
    id: '00000000-0000-4000-8000-000000000021',
    'detail-type': 'EC2 Spot Instance Interruption Warning',
    source: 'aws.ec2',
    account: '000000000000',
    region: 'eu-west-1',
    resources: [],
    detail: { 'instance-id': instance, 'instance-action': 'terminate' },
  });
  await service.api.finished(jobId, 'retrying');
  expect((await service.api.job(jobId)).error?.message).toContain(`EC2 says ${instance} is running`);
  const commands = scene.world.nagios.requests.filter(({ form }) => form.get('host') === 'watched');
  expect(commands).toEqual([]);
});
