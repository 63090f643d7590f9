import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { type Aws, startAws } from '../support/aws.ts';
import { type ChefServer, registerNode, startChefServer, textsOf } from '../support/chef-server.ts';
import { freshDirectory, until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type S3Gate, startS3Gate } from '../support/s3-gate.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';
import { startWebhook, type Webhook } from '../support/webhook.ts';

let redis: RedisServer;
let chef: ChefServer;
let aws: Aws;
let gate: S3Gate;
let s3: S3Client;
let webhook: Webhook;
let service: ServiceProcess;
let api: ApiClient;

beforeAll(async () => {
  [redis, chef, aws, webhook] = await Promise.all([
    startRedis(),
    startChefServer(),
    startAws({ durable: false }),
    startWebhook(),
  ]);
  gate = await startS3Gate(aws.url);
  const { region, credentials, url: endpoint } = aws;
  s3 = new S3Client({ region, credentials, endpoint, forcePathStyle: true });
});
afterEach(async () => {
  gate.refuse();
  await service?.stop();
  webhook.alerts.length = 0;
});
afterAll(async () => {
  s3?.destroy();
  webhook?.stop();
  await Promise.all([redis, chef, gate, aws].map(part => part?.stop()));
});

async function startIt(env: NodeJS.ProcessEnv): Promise<void> {
  service = await startServiceProcess(env);
  api = apiClient(service.url);
}

function environment(archiveUrl: string): NodeJS.ProcessEnv {
  return testEnvironment({
    ...aws.env,
    AWS_ENDPOINT_URL: gate.url,
    LOG_LEVEL: 'info',
    REDIS_URL: redis.url,
    CHEF_SERVER_URL: chef.url,
    CHEF_CLIENT_NAME: chef.adminName,
    CHEF_CLIENT_KEY: chef.adminKey,
    ALERT_WEBHOOK_URL: webhook.url,
    ARCHIVE_URL: archiveUrl,
  });
}

const makeBucket = (Bucket: string) => s3.send(new CreateBucketCommand({ Bucket }));

const left = (nodes: string[]) => Promise.all(nodes.map(name => textsOf(chef, name)));

/** Asks for deletions that all must wait, with one pause and one alert, and for the same reason. */
async function deleteInVain(nodes: string[], reason: RegExp): Promise<void> {
  await Promise.all(nodes.map(name => registerNode(chef, { name })));
  const before = await left(nodes);
  await Promise.all(nodes.map(node => api.event({ kind: 'delete', node })));
  const told = await until('the alert', () => webhook.alerts[0]);
  expect(told).toMatchObject({ name: 'jobs-paused', whatHappened: expect.stringMatching(reason) });
  const jobs = await until('every job that was taken to be given back', async () => {
    const found = await api.jobs();
    return found.every(job => job.state === 'retrying' || job.state === 'queued') && found;
  });
  expect(jobs.map(job => job.attempts)).toEqual(nodes.map(() => 0));
  const errors = jobs.flatMap(({ error }) => error?.message ?? []);
  expect(errors.length).toBeGreaterThan(0);
  for (const error of errors)
    expect(error).toMatch(/node .* was not archived in .*, so nothing may be deleted/);
  expect(await left(nodes)).toEqual(before);
}

async function expectAllDone(nodes: string[]): Promise<void> {
  const jobs = await api.settled();
  expect(jobs.map(job => job.attempts)).toEqual(nodes.map(() => 1));
  expect(await left(nodes)).toEqual(nodes.map(() => ({ node: null, client: null })));
  expect(webhook.alerts.map(alert => alert.name)).toEqual(['jobs-paused']);
}

const named = (name: string) => Array.from({ length: 10 }, (_, at) => `${name}-${at}`);

test.each([
  [403, 'AccessDenied', /allow s3:PutObject on arn:aws:s3:::.*IAM policy/],
  [403, 'InvalidAccessKeyId', /AWS does not accept our credentials for s3:PutObject/],
  [400, 'KMS.DisabledException', /AWS refused s3:PutObject on arn:aws:s3:::.*KMS.DisabledException/],
])(
  'S3 that answers %i %s pauses all jobs with one alert, and they go on by themselves',
  async (status, code, reason) => {
    const bucket = `saved-${code.replace('.', '-').toLowerCase()}`;
    await makeBucket(bucket);
    await startIt(environment(`s3://${bucket}/chef`));
    const nodes = named(code);
    gate.refuse({ status, code });
    await deleteInVain(nodes, reason);
    gate.refuse();
    await expectAllDone(nodes);
  },
);

test('a bucket that is not there pauses all jobs; when it is made they go on, and what they saved brings a node back', async () => {
  await startIt(environment('s3://not-yet/chef'));
  const nodes = named('no-bucket');
  await deleteInVain(nodes, /there is no S3 bucket not-yet: create it or set ARCHIVE_URL right/);
  await makeBucket('not-yet');
  await expectAllDone(nodes);
  await api.finished(await api.event({ kind: 'ensure', node: 'no-bucket-0' }));
  expect(await left(['no-bucket-0'])).not.toContainEqual(expect.objectContaining({ node: null }));
});

test('jobs that wait for a folder which can be none go on in another one after a restart', async () => {
  const directory = freshDirectory('taken');
  writeFileSync(join(directory, 'file'), '');
  const env = environment(`file://${directory}/file`);
  await startIt(env);
  const nodes = named('taken');
  await deleteInVain(nodes, /part of the path is a file: name a folder/);
  await service.stop();
  mkdirSync(join(directory, 'folder'));
  await startIt({ ...env, ARCHIVE_URL: `file://${directory}/folder` });
  await expectAllDone(nodes);
});
