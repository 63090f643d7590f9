import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ChefClient } from '../src/clients/chef.ts';
import type { Job } from '../src/job.ts';
import type { Service } from '../src/service.ts';
import { type ApiClient, apiClient } from './parts/api-client.ts';
import { type Aws, startAws } from './parts/aws.ts';
import { type ChefAclServer, startChefAclServer } from './parts/chef-acl-server.ts';
import { keyPair } from './parts/chef-server.ts';
import { until } from './parts/process.ts';
import { type RedisServer, startRedis } from './parts/redis.ts';
import { type S3Gate, startS3Gate } from './parts/s3-gate.ts';
import { startTestService, testEnvironment } from './parts/service.ts';

const BUCKET = 'chef-archive';
let chefServer: ChefAclServer;
let redis: RedisServer;
let aws: Aws;
let gate: S3Gate;
let service: Service;
let api: ApiClient;

beforeAll(async () => {
  [chefServer, redis, aws] = await Promise.all([
    startChefAclServer(),
    startRedis(),
    startAws({ durable: false }),
  ]);
  gate = await startS3Gate(aws.url);
  const { region, credentials, url: endpoint } = aws;
  const s3 = new S3Client({ region, credentials, endpoint, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  s3.destroy();
  for (const [name, value] of Object.entries(aws.env)) vi.stubEnv(name, value);
  const env = testEnvironment({
    AWS_ENDPOINT_URL: gate.url,
    AWS_REGION: region,
    REDIS_URL: redis.url,
    CHEF_SERVER_URL: chefServer.url,
    CHEF_CLIENT_NAME: chefServer.adminName,
    CHEF_CLIENT_KEY: chefServer.adminKey,
    ARCHIVE_URL: `s3://${BUCKET}/saved/here`,
  });
  service = await startTestService(env);
  api = apiClient(service.url);
});

afterAll(async () => {
  await service?.close('end of the tests');
  await Promise.all([gate?.stop(), chefServer?.stop(), redis?.stop(), aws?.stop()]);
  vi.unstubAllEnvs();
});

function finished(id: string, state: Job['state'] = 'done'): Promise<Job> {
  return until(`job ${id} to be ${state}`, async () => {
    const job = await api.job(id);
    return job.state === state && job;
  });
}

interface Host {
  name: string;
  text: string;
  keys: { name: string; privateKey: string }[];
}

/** Registers as chef-client does: its own client makes the node, and so may save it. Later its key was rotated once. */
async function register(name: string): Promise<Host> {
  const [first, second] = [keyPair(), keyPair()];
  const keys = [
    { name: 'default', public_key: first.publicKey, expiration_date: 'infinity' },
    { name: 'rotated', public_key: second.publicKey, expiration_date: '2099-12-31T23:59:59Z' },
  ];
  const clientKeys = keys.map(key => JSON.stringify(key));
  await chefServer.chef.restoreClient(name, { client: '{}', clientKeys });
  // Nobody but its maker and the administrators has these without it.
  const acl = { ...chefServer.acl('clients', name), read: { actors: [name], groups: ['admins', 'clients'] } };
  await chefServer.chef.restoreAcl('clients', name, JSON.stringify(acl));
  const text = `{"name":"${name}","policy_name":"web","policy_group":"prod","normal":{"2":9007199254740993,"1":1.0,"ü":"\\u00fc"}}`;
  await as(name, first.privateKey, host => host.restoreNode(name, text));
  return {
    name,
    text,
    keys: [
      { name: 'default', ...first },
      { name: 'rotated', ...second },
    ],
  };
}

async function as<T>(clientName: string, key: string, act: (host: ChefClient) => Promise<T>): Promise<T> {
  const host = new ChefClient({ url: chefServer.url, clientName, key });
  try {
    return await act(host);
  } finally {
    await host.close();
  }
}

function rights(name: string) {
  return { node: chefServer.acl('nodes', name), client: chefServer.acl('clients', name) };
}

test('a restored node has its text, its keys and its ACLs, and each old private key saves it again', async () => {
  const { name, text, keys } = await register('web-1');
  const [before, publicKeys] = [rights(name), await chefServer.chef.getClientKeys(name)];
  await finished(await api.event({ kind: 'delete', node: name }));
  expect(rights(name)).toEqual({ node: undefined, client: undefined });

  await finished(await api.event({ kind: 'ensure', node: name }));
  expect(chefServer.nodeText(name)).toBe(text);
  expect(await chefServer.chef.getClientKeys(name)).toEqual(publicKeys);
  expect(rights(name)).toEqual(before);
  for (const { name: key, privateKey } of keys) {
    const saved = { name, run_list: [`recipe[${key}]`] };
    expect(await as(name, privateKey, host => host.updateNode(saved))).toBe('updated');
    expect(await chefServer.chef.getNode(name)).toEqual(saved);
  }
  expect(chefServer.faults).toEqual([]);
});

test('a node without an archived ACL is its client’s to save as well', async () => {
  const name = 'described';
  const { publicKey, privateKey } = keyPair();
  await chefServer.chef.createClient({ name, public_key: publicKey });
  await finished(await api.event({ kind: 'ensure', node: name, runList: ['recipe[base]'] }));
  const saved = { name, run_list: ['recipe[saved]'] };
  expect(await as(name, privateKey, host => host.updateNode(saved))).toBe('updated');
  expect(chefServer.acl('nodes', name)?.delete.actors).toEqual([chefServer.adminName]);
});

test('a restore that stopped before the ACL goes on from there', async () => {
  const { name, text, keys } = await register('web-2');
  const before = rights(name);
  await finished(await api.event({ kind: 'delete', node: name }));
  const refused = chefServer.refuse(`PUT /nodes/${name}/_acl/read`);
  const id = await api.event({ kind: 'ensure', node: name });
  const job = await finished(id, 'failed');
  expect(job.error).toMatchObject({ code: 'permission' });
  expect(chefServer.nodeText(name)).toBe(text);
  refused.end();
  await api.request('POST', `/jobs/${id}/retry`);
  await finished(id);
  expect(rights(name)).toEqual(before);
  const [first] = keys;
  expect(await as(name, first?.privateKey ?? '', host => host.updateNode({ name }))).toBe('updated');
});

test('while S3 refuses nothing is deleted, the error names the right that is missing, and a retry goes on', async () => {
  const { name, text } = await register('web-3');
  gate.refuse({ status: 403, code: 'AccessDenied' });
  const id = await api.event({ kind: 'delete', node: name });
  const job = await finished(id, 'failed');
  expect(job.error).toMatchObject({
    code: 'permission',
    message: expect.stringMatching(
      /node web-3 was not archived.*s3:PutObject on arn:aws:s3:::chef-archive\/saved/,
    ),
  });
  expect(chefServer.nodeText(name)).toBe(text);
  expect(chefServer.requests.filter(asked => asked.startsWith('DELETE') && asked.endsWith(name))).toEqual([]);
  gate.refuse();
  await api.request('POST', `/jobs/${id}/retry`);
  await finished(id);
  expect(chefServer.nodeText(name)).toBeUndefined();
});
