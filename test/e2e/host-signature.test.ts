import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHostVerifier, type HostTrust, type VerifyHost } from '../../src/api/host/verify.ts';
import type { Service } from '../../src/app/service.ts';
import { AppError } from '../../src/domain/errors.ts';
import { parseEvent } from '../../src/domain/parse-event.ts';
import { startApi } from '../support/api/service-fixture.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { type ChefServer, keyPair, registerNode, startChefServer } from '../support/chef-server.ts';
import { type HostSigning, signHostMessage } from '../support/host-message.ts';
import { freshDirectory } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type SnsPublisher, startSnsPublisher } from '../support/sns-publisher.ts';
import { instanceId } from '../support/termination.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:terminations';

let redis: RedisServer;
let chef: ChefServer;
let publisher: SnsPublisher;
let untrust: () => void;
let service: Service;
let api: ApiClient;
/** PEM of the hosts `honest` and `hijacked`. */
let honest: string;
let hijacked: string;

beforeAll(async () => {
  [redis, chef, publisher] = await Promise.all([
    startRedis(),
    startChefServer(),
    startSnsPublisher({ topicArn: TOPIC }),
  ]);
  untrust = publisher.authority.trust();
  service = await start();
  api = apiClient(service.url);
  for (const name of ['honest', 'hijacked']) await registerNode(chef, { name, ownKey: true });
  [honest, hijacked] = (await Promise.all(['honest', 'hijacked'].map(newKey))) as [string, string];
});
afterAll(async () => {
  await service?.close('end of the tests');
  untrust?.();
  await Promise.all([publisher, chef, redis].map(part => part?.stop()));
});

function start(env: NodeJS.ProcessEnv = {}): Promise<Service> {
  return startApi(redis.url, {
    CHEF_SERVER_URL: chef.url,
    CHEF_CLIENT_NAME: chef.adminName,
    CHEF_CLIENT_KEY: chef.adminKey,
    SNS_TOPIC_ARNS: TOPIC,
    SNS_CERT_HOSTS: publisher.certHost,
    ...env,
  });
}

/** Gives a client a key of its own. */
async function newKey(name: string): Promise<string> {
  const { publicKey, privateKey } = keyPair();
  await chef.chef.deleteClient(name);
  await chef.chef.createClient({ name, public_key: publicKey });
  return privateKey;
}

function goodbye(name: string, more: object = {}): Record<string, unknown> {
  return { type: 'registration', method: 'delete', chef_name: name, ...more };
}

const by = (privateKey: string, more: Partial<HostSigning> = {}): HostSigning => ({
  privateKey,
  topicArn: TOPIC,
  ...more,
});

interface Receipt {
  outcome: string;
  jobId: string;
}

async function publish(message: object, options: object = {}, to = service): Promise<Receipt> {
  const { status, body } = await publisher.deliver(publisher.envelope(message, options), `${to.url}/sns`);
  expect(status, body).toBe(200);
  return JSON.parse(body);
}

/** Published, it is a held job that says this. */
async function expectQuarantined(why: string | RegExp, message: object, options: object = {}): Promise<void> {
  const { outcome, jobId } = await publish(message, options);
  expect(outcome).toBe('quarantined');
  const { state, error, node } = await api.job(jobId);
  expect([state, node]).toEqual(['held', message['chef_name' as keyof object]]);
  expect(error?.message).toMatch(why);
}

describe('a host', () => {
  test('may speak for itself, and for nobody else', async () => {
    expect((await publish(signHostMessage(goodbye('honest'), by(honest)))).outcome).toBe('accepted');
    await expectQuarantined(
      /none of the keys .* client honest/,
      signHostMessage(goodbye('honest'), by(hijacked)),
    );
    await expectQuarantined(/did not sign .*NODE_SIGNATURES/, goodbye('honest'));
  });

  test('is accepted for a message with a malformed optional field, which the job names as dropped', async () => {
    const message = goodbye('honest', { nagios_name: 'web;1', instance_id: 'i-1' });
    const { outcome, jobId } = await publish(signHostMessage(message, by(honest)));
    expect(outcome).toBe('accepted');
    const job = await api.job(jobId);
    expect(job).toMatchObject({ instanceId: null, event: { dropped: ['nagios_name', 'instance_id'] } });
    expect(job.event).not.toHaveProperty('nagiosHost');
    const changed = { ...signHostMessage(message, by(honest)), nagios_name: 'web;2' };
    await expectQuarantined(/none of the keys/, changed);
  });

  test('is not accepted if anything was changed after it signed', async () => {
    const nagios = { nagios_name: 'honest', instance_id: instanceId(1) };
    const message = signHostMessage(goodbye('honest', nagios), by(honest));
    const changes = {
      method: 'ensure',
      nagios_name: 'hijacked',
      instance_id: instanceId(2),
    };
    for (const [name, value] of Object.entries(changes)) {
      await expectQuarantined(/none of the keys/, { ...message, [name]: value });
      await expectQuarantined(/none of the keys/, {
        ...message,
        [name]: name === 'method' ? 'deregister' : null,
      });
    }
    await expectQuarantined(/none of the keys/, { ...message, chef_name: 'hijacked' });
    const { signature } = message;
    for (const [name, value] of [
      ['nonce', randomUUID()],
      ['time', '2026-03-02T10:15:42Z'],
    ]) {
      const changed = { ...message, signature: { ...(signature as object), [String(name)]: value } };
      await expectQuarantined(/none of the keys|published at/, changed);
    }
    expect((await publish(message)).outcome).toBe('accepted');
  });

  test('that says it twice is one job, by push and by copy; said again by another it is a replay', async () => {
    const message = signHostMessage(goodbye('honest'), by(honest));
    const MessageId = randomUUID();
    const first = await publish(message, { MessageId });
    expect(first.outcome).toBe('accepted');
    expect(await publish(message, { MessageId })).toEqual({ ...first, outcome: 'duplicate' });
    await expectQuarantined(/replay/, message);
    await expectQuarantined(/replay/, message);
  });

  test('that signed it for another installation, or at another time, is not accepted', async () => {
    const elsewhere = by(honest, { topicArn: `${TOPIC}-of-others` });
    await expectQuarantined(
      /for terminations-of-others, which is not/,
      signHostMessage(goodbye('honest'), elsewhere),
    );
    for (const minutes of [-16, 16]) {
      const time = new Date(Date.now() + minutes * 60_000);
      await expectQuarantined(
        /off by more than 15/,
        signHostMessage(goodbye('honest'), by(honest, { time })),
      );
    }
    const time = new Date(Date.now() - 14 * 60_000);
    expect((await publish(signHostMessage(goodbye('honest'), by(honest, { time })))).outcome).toBe(
      'accepted',
    );
  });

  test('that the Chef server does not know is not accepted; a message about a known termination stays a duplicate', async () => {
    const unknown = signHostMessage(goodbye('unknown'), by(honest));
    await expectQuarantined(/has no client unknown/, unknown);

    const name = 'gone';
    await registerNode(chef, { name });
    const privateKey = await newKey(name);
    const end = goodbye(name, { instance_id: instanceId(7) });
    const { jobId } = await publish(signHostMessage(end, by(privateKey)));
    await chef.chef.deleteClient(name);
    expect(await publish(signHostMessage(end, by(privateKey)))).toEqual({ outcome: 'duplicate', jobId });
  });

  test('is neither accepted nor refused but asked again while the Chef server is away', async () => {
    const apart = await start({ CHEF_SERVER_URL: 'http://127.0.0.1:1' });
    const message = publisher.envelope(signHostMessage(goodbye('honest'), by(honest)));
    const { status } = await publisher.deliver(message, `${apart.url}/sns`);
    expect(status).toBe(503);
    await apart.close('test');
    const { body } = await publisher.deliver(message, `${service.url}/sns`);
    expect(JSON.parse(body).outcome).toBe('accepted');
  });

  test('of the predecessor is accepted unsigned if signatures are optional, and never with a wrong one', async () => {
    const lenient = await start({ NODE_SIGNATURES: 'optional' });
    expect((await publish(goodbye('honest'), {}, lenient)).outcome).toBe('accepted');
    const wrong = signHostMessage(goodbye('honest'), by(hijacked));
    expect((await publish(wrong, {}, lenient)).outcome).toBe('quarantined');
    expect((await publish({ ...goodbye('honest'), signature: 'none' }, {}, lenient)).outcome).toBe(
      'quarantined',
    );
    await lenient.close('test');
  });
});

test('the command in docs/host-messages.md makes a message that is accepted', async () => {
  const readme = readFileSync(new URL('../../docs/host-messages.md', import.meta.url), 'utf8');
  const script = /<!-- host-message -->\n(.*)<!-- \/host-message -->/s.exec(readme)?.[1] ?? '';
  const keyFile = join(freshDirectory('host'), 'client.pem');
  writeFileSync(keyFile, honest, { mode: 0o600 });
  const env = { ...process.env, queue: 'terminations', client_key: keyFile, instance: instanceId(9) };
  const named = script.replace('$(hostname -f)', 'honest');
  const message = execFileSync('/bin/sh', ['-euc', named], { env, encoding: 'utf8' });
  const { outcome, jobId } = await publish(JSON.parse(message));
  expect(outcome).toBe('accepted');
  expect(await api.job(jobId)).toMatchObject({ node: 'honest', instanceId: instanceId(9) });
});

describe('the host verifier', () => {
  const { publicKey, privateKey } = keyPair();
  const other = keyPair().publicKey;
  const now = new Date();
  const key = (public_key: string, expiration_date = 'infinity') => ({
    name: 'k',
    public_key,
    expiration_date,
  });
  const doubt = async (trust: Partial<HostTrust>, method = 'delete') => {
    const event = parseEvent(signHostMessage({ ...goodbye('web-1'), method }, by(privateKey)));
    if (!event) throw new Error('no event');
    const gate: VerifyHost = createHostVerifier({
      required: true,
      audiences: new Set(['terminations']),
      keys: async () => undefined,
      archivedKeys: async () => undefined,
      deletionAskedBy: async () => undefined,
      claimNonce: async () => true,
      ...trust,
    });
    const { quarantine } = await gate(event, {
      source: 'sns',
      place: 'hosts',
      messageId: 'id',
      publishedAt: now,
      saidAt: now,
    });
    return quarantine?.message;
  };
  const at = (ms: number) => new Date(now.getTime() + ms).toISOString();

  test('accepts any key that had not expired when the message was published', async () => {
    const keys = (...list: ReturnType<typeof key>[]) => ({ keys: async () => list });
    expect(await doubt(keys(key(other), key(publicKey)))).toBeUndefined();
    expect(await doubt(keys(key(publicKey, at(60_000))))).toBeUndefined();
    expect(await doubt(keys(key(publicKey, at(-60_000)), key(other)))).toMatch(/expired keys do not count/);
    expect(await doubt(keys(key('not a key')))).toMatch(/none of the keys/);
    expect(await doubt(keys())).toMatch(/none of the keys/);
  });

  test('accepts the archived key of a client that is gone, but not against a person’s deletion', async () => {
    const archived = (deletedBy?: string) => ({
      archivedKeys: async () => ({ keys: [key(publicKey)], deletedBy }),
    });
    expect(await doubt(archived())).toBeUndefined();
    expect(await doubt(archived(), 'ensure')).toBeUndefined();
    expect(await doubt(archived('anna'))).toBeUndefined();
    expect(await doubt(archived('anna'), 'ensure')).toMatch(/anna asked for the deletion of web-1/);
    expect(await doubt({ ...archived(), keys: async () => [key(other)] })).toMatch(/none of the keys/);
    expect(await doubt({ archivedKeys: async () => ({ keys: [key(other)] }) })).toMatch(
      /no key that was archived/,
    );
  });

  test('quarantines what only a person can repair, and lets the sender try again for the rest', async () => {
    const fails = (error: Error) => ({ keys: () => Promise.reject(error) });
    expect(await doubt(fails(new AppError('permission', 'read is missing')))).toMatch(/read is missing/);
    for (const error of [
      new AppError('credentials', 'clock'),
      new AppError('unavailable', 'x'),
      new Error('x'),
    ]) {
      await expect(doubt(fails(error))).rejects.toMatchObject({ code: 'unavailable' });
    }
    const hangs = { keys: () => new Promise<never>(() => {}) };
    await expect(doubt(hangs)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('spends no nonce on a signature that does not count', async () => {
    const claimed: string[] = [];
    const claimNonce = async (nonce: string) => claimed.push(nonce) > 0;
    await doubt({ claimNonce, keys: async () => [key(other)] });
    expect(claimed).toEqual([]);
    await doubt({ claimNonce, keys: async () => [key(publicKey)] });
    expect(claimed).toHaveLength(1);
  });
});
