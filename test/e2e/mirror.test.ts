import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiClient } from '../support/api-client.ts';
import type { Aws } from '../support/aws.ts';
import { registerNode } from '../support/chef-server.ts';
import { freePort, until } from '../support/process.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';
import { subscriptionsOf } from '../support/sns-subscriptions.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

const TERMINATIONS = 60;
const names = Array.from({ length: TERMINATIONS }, (_, at) => `mirrored-${at}`);
const LIVING = 'living';

let world: World & { aws: Aws };
const processes: ServiceProcess[] = [];

beforeAll(async () => {
  const started = await startWorld({ hosts: ['somebody'], queueId: 'mirror' });
  if (!started.aws) throw new Error('no SNS and SQS');
  world = { ...started, aws: started.aws };
  await Promise.all(
    [...names, LIVING].map((name, at) => registerNode(world.chef, { name, instanceId: instanceId(at) })),
  );
});

afterAll(async () => {
  await Promise.all(processes.map(process => process.stop()));
  await world?.stop();
});

async function startIt(env: NodeJS.ProcessEnv): Promise<ServiceProcess> {
  const process = await startServiceProcess(env);
  processes.push(process);
  return process;
}

test('what is published while the API is dead is worked through the mirror, and each termination once', async () => {
  const port = String(await freePort());
  const env = testEnvironment({
    ...world.env,
    LOG_LEVEL: 'info',
    PROVISION: 'true',
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    MAX_DELETES: '1000',
  });
  const startApi = () => startIt({ ...env, ROLES: 'api', PORT: port });
  const api = await startApi();
  await startIt({ ...env, ROLES: 'poller' });
  await startIt({ ...env, ROLES: 'worker' });
  await until('both subscriptions', async () => {
    await world.publisher.requestConfirmations();
    const subscriptions = await subscriptionsOf(world.aws, world.publisher.topicArn);
    return subscriptions.length === 2 && subscriptions.every(subscription => !subscription.pending);
  });

  let published = 0;
  const load = (async () => {
    for (const [at] of names.entries()) {
      await world.publisher.publish(terminationNotice(instanceId(at)));
      published += 1;
    }
  })();
  await until('a third to be published', () => published >= TERMINATIONS / 3);
  api.child.kill('SIGKILL');
  await load;

  const again = await startApi();
  const client = apiClient(again.url);
  await until('a job for each termination', async () => (await client.jobs()).length >= TERMINATIONS);
  const jobs = await client.settled();
  expect(new Set(jobs.map(job => job.instanceId)).size).toBe(TERMINATIONS);
  expect(jobs).toHaveLength(TERMINATIONS);
  const left = await Promise.all(names.map(name => world.chef.chef.getNode(name)));
  expect(left.filter(Boolean)).toEqual([]);
  expect(await world.chef.chef.getNode(LIVING)).toBeDefined();
});
