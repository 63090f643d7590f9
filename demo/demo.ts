import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GetQueueUrlCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { ChefClient } from '../src/clients/chef/client.ts';
import { apiClient } from '../test/support/api-client.ts';
import { type RegisteredNode, registerNode } from '../test/support/chef-server.ts';
import { setup } from '../test/support/clean.ts';
import { freePort, freshDirectory, until } from '../test/support/process.ts';
import { type ServiceProcess, startServiceProcess, TOKEN } from '../test/support/service.ts';
import { subscriptionsOf } from '../test/support/sns-subscriptions.ts';
import { instanceId, terminationNotice } from '../test/support/termination.ts';
import { type Parts, startParts } from './parts.ts';
import { act, bad, good, line, showLog, table } from './screen.ts';

const PUSHED = ['web-1', 'web-2', 'web-3'];
const QUEUED = ['app-1', 'app-2', 'app-3'];
const LIVING = ['db-1'];
const NODES = [...PUSHED, ...QUEUED, ...LIVING];
const idOf = (name: string) => instanceId(NODES.indexOf(name) + 1);

const once = process.argv.includes('--once');
setup();
let failures = 0;

function check(what: string, came: boolean): void {
  if (!came) failures += 1;
  (came ? good : bad)(what);
}

async function startDemoService(parts: Parts): Promise<ServiceProcess> {
  const directory = freshDirectory('demo');
  const certificate = await parts.publisher.authority.issue();
  const files = { TLS_CERT_FILE: join(directory, 'tls.crt'), TLS_KEY_FILE: join(directory, 'tls.key') };
  writeFileSync(files.TLS_CERT_FILE, certificate.certificate);
  writeFileSync(files.TLS_KEY_FILE, certificate.key, { mode: 0o600 });
  const port = String(await freePort());
  return startServiceProcess({
    ...parts.env,
    ...files,
    PORT: port,
    PUBLIC_URL: `https://127.0.0.1:${port}`,
    PROVISION: 'true',
    REDIS_PREFIX: '{chef-deregistration}',
    ARCHIVE_URL: `file://${directory}/archive`,
  });
}

/** @returns the names of the topics */
async function subscribed({ aws, publisher, hosts }: Parts): Promise<string[]> {
  for (const topic of [hosts, publisher]) {
    await until('topic, queue and both subscriptions', async () => {
      await topic.requestConfirmations();
      const subscriptions = await subscriptionsOf(aws, topic.topicArn);
      return subscriptions.length === 2 && subscriptions.every(subscription => !subscription.pending);
    });
  }
  return [hosts, publisher].map(({ topicArn }) => topicArn.split(':').at(-1) ?? '');
}

async function terminate({ aws, publisher }: Parts): Promise<void> {
  for (const name of [...PUSHED, ...PUSHED]) await publisher.publish(terminationNotice(idOf(name)));
  const QueueName = publisher.topicArn.split(':').at(-1);
  const { QueueUrl } = await aws.sqs.send(new GetQueueUrlCommand({ QueueName }));
  for (const name of [...QUEUED, ...QUEUED]) {
    const MessageBody = JSON.stringify({
      source: 'aws.ec2',
      'detail-type': 'EC2 Instance State-change Notification',
      detail: { 'instance-id': idOf(name), state: 'terminated' },
    });
    await aws.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
  }
}

async function inChef({ chef }: Parts): Promise<string[]> {
  const nodes = await Promise.all(NODES.map(name => chef.chef.getNode(name)));
  return nodes.flatMap(node => (node ? [node.name] : []));
}

async function savesItself(
  { chef }: Parts,
  { node, clientName, privateKey }: RegisteredNode,
): Promise<boolean> {
  const host = new ChefClient({ url: chef.url, clientName, key: privateKey });
  try {
    return (await host.updateNode({ ...node, normal: { restored: true } })) === 'updated';
  } finally {
    await host.close();
  }
}

async function play(parts: Parts, service: ServiceProcess): Promise<void> {
  const api = apiClient(service.url);
  const quiet = () =>
    until('the chef-client run', async () => {
      const trigger = await api.trigger();
      return trigger.state === 'idle' && trigger.pendingDeletes === 0 && trigger.lastRun;
    });
  const runs = () => service.output().split('"chef-client run begins"').length - 1;

  act(`Seven nodes live in Chef and in Nagios: ${NODES.join(', ')}`);
  const hosts = await Promise.all(
    NODES.map(name => registerNode(parts.chef, { name, instanceId: idOf(name), ownKey: name === 'web-1' })),
  );
  const [forHosts, forAws] = await subscribed(parts);
  good(
    `topic, queue and both subscriptions stand, of ${forHosts} for hosts and of ${forAws} for AWS services`,
  );

  act(
    'Six instances end: three announced by SNS push and its mirror in SQS, three by EventBridge in SQS; each is announced twice',
  );
  await terminate(parts);
  await until('six jobs', async () => (await api.jobs()).length === 6);
  const jobs = await api.settled(['done', 'failed', 'held']);
  const { output } = await quiet();

  act('What became of it');
  table(jobs);
  check(
    'each termination is one job, and done',
    jobs.length === 6 && jobs.every(job => job.state === 'done'),
  );
  check(
    'their six nodes are gone from Chef, the living one is there',
    String(await inChef(parts)) === String(LIVING),
  );
  check(
    'every deletion was archived first',
    jobs.every(job => job.steps.find(step => step.name === 'archive')?.state === 'done'),
  );
  check(
    'their downtimes stood in Nagios',
    jobs.every(job => job.steps.find(step => step.name === 'confirm-downtime')?.state === 'done'),
  );
  check(`chef-client ran once for all of them: ${output.trim()}`, runs() === 1);

  act('One of them was a mistake: ensure web-1');
  const restore = await api.event({ kind: 'ensure', node: 'web-1', reason: 'it was still needed' });
  await api.settled(['done', 'failed', 'held']);
  await quiet();
  check('the job is done', (await api.job(restore)).state === 'done');
  const [web1] = hosts;
  check(
    'web-1’s old private key saves its node again',
    web1 !== undefined && (await savesItself(parts, web1)),
  );
  check(
    `left in Chef and in Nagios: ${(await inChef(parts)).join(', ')}`,
    (await inChef(parts)).join() === 'web-1,db-1',
  );
}

async function main(): Promise<void> {
  act('Starting Redis, a Chef server, Nagios with its CGIs, SNS and SQS, and the service');
  const parts = await startParts(NODES);
  const service = await startDemoService(parts);
  if (service.child.stdout) createInterface(service.child.stdout).on('line', showLog);
  good(`the service is up at ${service.url}`);
  const stop = async (code: number) => {
    await service.stop();
    await parts.stop();
    process.exit(code);
  };
  try {
    await play(parts, service);
  } catch (error) {
    check(error instanceof Error ? `${error.message} ${error.cause ?? ''}` : String(error), false);
  }
  act(failures === 0 ? 'All of it came true' : `${failures} of it did not come true`);
  if (once) return stop(failures === 0 ? 0 : 1);
  line(`the service stays up at ${service.url} until Ctrl-C; ask it with:`);
  line(`  curl -k -H 'Authorization: Bearer ${TOKEN}' ${service.url}/jobs`);
  process.once('SIGINT', () => void stop(0));
  process.once('SIGTERM', () => void stop(0));
}

await main();
