import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyPair } from '../../support/chef-server.ts';
import { type Host, makeHost } from '../../support/host/host.ts';
import { type MetadataService, roleCredentials, startMetadata } from '../../support/host/metadata.ts';
import { type SnsListener, startSnsListener } from '../../support/host/sns-requests.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:chef-client-deregistration-queue-test';
const INSTANCE = 'i-0123456789abcdef0';
const LAST_WORDS = [
  'PUT /latest/api/token 200',
  'GET /latest/meta-data/autoscaling/target-lifecycle-state 200',
  'GET /latest/meta-data/spot/instance-action 404',
];
const credentialsOf = (id: string) => roleCredentials({ id, secret: 'secret', token: 'token==' });

let sns: SnsListener;
let metadata: MetadataService;
/** What the metadata service serves; tests change it while it serves. */
let tree: Record<string, string>;
let host: Host;

beforeEach(async () => {
  tree = {
    'instance-id': INSTANCE,
    'autoscaling/target-lifecycle-state': 'InService',
    'iam/security-credentials/': 'web-role',
    'iam/security-credentials/web-role': credentialsOf('ASIAWEB'),
  };
  sns = await startSnsListener();
  metadata = await startMetadata(tree);
  const settings = { TOPIC_ARN: TOPIC, SNS_ENDPOINT: sns.url, METADATA_ENDPOINT: metadata.url };
  host = makeHost({ key: keyPair().privateKey, node: 'web-1', settings });
  host.systemdJobs('poweroff.target start');
});

afterEach(async () => {
  await sns.stop();
  await metadata.stop();
});

const note = () => join(host.directory, 'run/instance');

/** Which instance and key each message was published with, of what powers off now. */
async function powerOff(): Promise<{ instance: unknown; keyId: string | undefined; asked: string[] }> {
  metadata.asked.length = 0;
  expect(await host.run(['stop'])).toMatchObject({ code: 0 });
  expect(sns.requests).toHaveLength(1);
  const { body = '', headers } = sns.requests[0] ?? {};
  const message = JSON.parse(new URLSearchParams(body).get('Message') ?? '');
  const keyId = /Credential=(\w+)/.exec(headers?.authorization ?? '')?.[1];
  return { instance: message.instance_id, keyId, asked: metadata.asked };
}

test('the id and role that start noted are not asked again at power-off', async () => {
  expect(await host.run(['start'])).toMatchObject({ code: 0, stderr: '' });
  expect(await powerOff()).toEqual({
    instance: INSTANCE,
    keyId: 'ASIAWEB',
    asked: [...LAST_WORDS, 'GET /latest/meta-data/iam/security-credentials/web-role 200'],
  });
});

test('no secret is in the note', async () => {
  await host.run(['start']);
  expect(readFileSync(note(), 'utf8')).toMatch(/^[0-9a-f-]{36} i-0123456789abcdef0 web-role\n$/);
});

test('a note of another boot, as in an image of a running machine, is not accepted', async () => {
  mkdirSync(join(host.directory, 'run'));
  writeFileSync(note(), '00000000-0000-4000-8000-000000000000 i-0fedcba9876543210 other-role\n');
  expect(await powerOff()).toMatchObject({ instance: INSTANCE, keyId: 'ASIAWEB' });
});

test('a note that is cut off is not accepted', async () => {
  mkdirSync(join(host.directory, 'run'));
  writeFileSync(note(), '');
  expect(await powerOff()).toMatchObject({ instance: INSTANCE, keyId: 'ASIAWEB' });
});

test('start notes again what a note of this boot said before', async () => {
  await host.run(['start']);
  tree['iam/security-credentials/'] = 'next-role';
  await host.run(['start']);
  expect(readFileSync(note(), 'utf8')).toContain(' next-role\n');
});

test('a role that was exchanged since start is found', async () => {
  await host.run(['start']);
  delete tree['iam/security-credentials/web-role'];
  tree['iam/security-credentials/'] = 'next-role';
  tree['iam/security-credentials/next-role'] = credentialsOf('ASIANEXT');
  expect(await powerOff()).toMatchObject({ instance: INSTANCE, keyId: 'ASIANEXT' });
});

test('a role that came after start is found', async () => {
  delete tree['iam/security-credentials/'];
  await host.run(['start']);
  tree['iam/security-credentials/'] = 'web-role';
  expect(await powerOff()).toMatchObject({ instance: INSTANCE, keyId: 'ASIAWEB' });
});

test('an instance that start could not note is asked at power-off', async () => {
  host.standIn('mkdir', 'exit 1');
  expect(await host.run(['start'])).toMatchObject({ code: 0 });
  expect(readFileSync(join(host.directory, 'log'), 'utf8')).toContain(`cannot write ${note()}`);
  expect(await powerOff()).toMatchObject({ instance: INSTANCE, keyId: 'ASIAWEB' });
});
