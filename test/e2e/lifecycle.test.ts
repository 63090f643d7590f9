import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { registerNode } from '../support/chef-server.ts';
import { type AwsStandIn, CREDENTIALS, REGION, startAwsStandIn } from '../support/clients/aws-stand-in.ts';
import { until } from '../support/process.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

const COMPLETED = {
  status: 200,
  body: '<CompleteLifecycleActionResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><CompleteLifecycleActionResult/></CompleteLifecycleActionResponse>',
};

let world: World;
let autoScaling: AwsStandIn;
let service: ServiceProcess;
let api: ApiClient;
let next = 0;

beforeAll(async () => {
  [world, autoScaling] = await Promise.all([startWorld({ hosts: ['hooked'] }), startAwsStandIn()]);
  service = await startServiceProcess(
    testEnvironment({
      ...world.env,
      LOG_LEVEL: 'info',
      AWS_ENDPOINT_URL: autoScaling.options.endpoint,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      LIFECYCLE_RESULT: 'ABANDON',
    }),
  );
  api = apiClient(service.url);
});

beforeEach(() => {
  autoScaling.asked.length = 0;
  autoScaling.answers = [COMPLETED];
});

afterAll(async () => {
  await service?.stop();
  autoScaling?.stop();
  await world?.stop();
});

function hookNotice(instance: string): object {
  return {
    LifecycleHookName: 'deregister',
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
    AutoScalingGroupName: 'web-asg',
    EC2InstanceId: instance,
    LifecycleActionToken: `token-of-${instance}`,
  };
}

async function publish(message: object): Promise<{ outcome: string; jobId: string }> {
  const { body } = await world.publisher.deliver(world.publisher.envelope(message), `${service.url}/sns`);
  return JSON.parse(body);
}

async function done(id: string): Promise<string[]> {
  const job = await until(`job ${id} to be done`, async () => {
    const found = await api.job(id);
    return found.state === 'done' && found;
  });
  return job.steps.map(step => step.name);
}

test('a lifecycle action is completed after the work, in the topic’s region, with the result that is set', async () => {
  const instance = instanceId(++next);
  await registerNode(world.chef, { name: 'hooked', instanceId: instance });
  const { jobId } = await publish(hookNotice(instance));
  const steps = await done(jobId);
  expect(steps.indexOf('complete-lifecycle')).toBe(steps.indexOf('verify') + 1);
  expect(autoScaling.asked.map(({ scope, form }) => ({ scope, form }))).toEqual([
    {
      scope: `${REGION}/autoscaling`,
      form: {
        Action: 'CompleteLifecycleAction',
        Version: '2011-01-01',
        AutoScalingGroupName: 'web-asg',
        LifecycleHookName: 'deregister',
        InstanceId: instance,
        LifecycleActionToken: `token-of-${instance}`,
        LifecycleActionResult: 'ABANDON',
      },
    },
  ]);
});

test('an action that is announced after the termination was worked is completed too, once', async () => {
  const instance = instanceId(++next);
  await registerNode(world.chef, { name: 'told-late', instanceId: instance });
  const first = await publish(terminationNotice(instance));
  expect(await done(first.jobId)).not.toContain('complete-lifecycle');
  expect(await publish(hookNotice(instance))).toEqual({ outcome: 'duplicate', jobId: first.jobId });
  await until('the action to be completed', () => autoScaling.asked.length === 1);
  await done(first.jobId);
  await publish(hookNotice(instance));
  expect(await done(first.jobId)).toContain('complete-lifecycle');
  expect(autoScaling.asked).toHaveLength(1);
});

test('an instance that Chef never had does not hang: its action is completed, with heartbeats while search is asked again', async () => {
  const instance = instanceId(++next);
  const { jobId } = await publish(hookNotice(instance));
  await until('the job to wait for the index', async () => (await api.job(jobId)).state === 'retrying');
  await until('a heartbeat', () =>
    autoScaling.asked.some(({ form }) => form['Action'] === 'RecordLifecycleActionHeartbeat'),
  );
  expect((await api.job(jobId)).state).not.toBe('failed');
});
