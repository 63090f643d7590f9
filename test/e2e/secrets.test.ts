import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { registerNode } from '../support/chef-server.ts';
import { until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type ServiceProcess, startServiceProcess, TOKEN } from '../support/service.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWebhook, type Webhook } from '../support/webhook.ts';
import { startWorld, type World } from '../support/world.ts';

const REDIS_PASSWORD = 'redis-password-4711';

let world: World;
let redis: RedisServer;
let webhook: Webhook;
let service: ServiceProcess;
let api: ApiClient;
let secrets: Record<string, string>;

beforeAll(async () => {
  [world, redis, webhook] = await Promise.all([
    startWorld({ hosts: ['known'] }),
    startRedis({ password: REDIS_PASSWORD }),
    startWebhook(),
  ]);
  const url = `${webhook.url}/T0SECRET/B0SECRET`;
  secrets = {
    'the token': TOKEN,
    'the password of Redis': REDIS_PASSWORD,
    'the password of Nagios': world.nagios.password,
    'the webhook': 'T0SECRET',
    'the Chef key': world.chef.adminKey.split('\n')[3] ?? '',
  };
  for (const [name, secret] of Object.entries(secrets)) expect(secret.length, name).toBeGreaterThan(5);
  service = await startServiceProcess({
    ...world.env,
    LOG_LEVEL: 'trace',
    REDIS_URL: redis.url,
    ALERT_WEBHOOK_URL: url,
    NAGIOS_REQUIRED: 'true',
  });
  api = apiClient(service.url);
});
afterAll(async () => {
  await service?.stop();
  await Promise.all([world, webhook, redis].map(part => part?.stop()));
});

/** Everything that Redis holds, as text. */
async function everythingInRedis(): Promise<string> {
  const client = new Redis(redis.url);
  const parts: string[] = [];
  for (const key of await client.keys('*')) {
    const read: Record<string, () => Promise<unknown>> = {
      string: () => client.get(key),
      hash: () => client.hgetall(key),
      list: () => client.lrange(key, 0, -1),
      set: () => client.smembers(key),
      zset: () => client.zrange(key, '0', '-1'),
      stream: () => client.xrange(key, '-', '+'),
    };
    parts.push(key, JSON.stringify(await read[await client.type(key)]?.()));
  }
  client.disconnect();
  return parts.join('\n');
}

function expectNoSecret(where: string, text: string): void {
  for (const [name, secret] of Object.entries(secrets)) {
    for (const form of [
      secret,
      encodeURIComponent(secret),
      Buffer.from(secret).toString('base64').slice(0, -4),
    ]) {
      expect(text.includes(form), `${name} in ${where}`).toBe(false);
    }
  }
}

test('no secret is logged, answered, or kept in Redis, whatever goes wrong', async () => {
  const answers: unknown[] = [];
  const ask = async (method: string, path: string, body?: unknown, token = TOKEN) => {
    const response = await fetch(service.url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    answers.push(await response.text(), [...response.headers]);
  };
  const notice = (name: string, number: number) =>
    registerNode(world.chef, { name, instanceId: instanceId(number) }).then(() =>
      world.publisher.deliver(
        world.publisher.envelope(terminationNotice(instanceId(number))),
        `${service.url}/sns`,
      ),
    );

  answers.push(await notice('known', 1));
  await api.settled(['done']);
  for (const path of [
    '/jobs',
    '/jobs/none',
    '/jobs?limit=x',
    '/trigger',
    '/archives',
    '/readyz',
    '/metrics',
    '/x',
  ]) {
    await ask('GET', path);
  }
  await ask('POST', '/events', '{"kind":');
  await ask('POST', '/events', { kind: 'delete', node: '../x' });
  await ask('POST', '/events', { kind: 'ensure', node: 'never-archived' });
  await ask('POST', '/sns', 'not JSON');
  for (const token of [`${TOKEN}x`, TOKEN.slice(1)]) await ask('GET', '/jobs', undefined, token);
  await world.nagios.stop();
  answers.push(await notice('nagios-is-away', 2));
  await until('Nagios to be missed', () => /Nagios .*(ECONNREFUSED|unreachable)/i.test(service.output()));
  await ask('GET', '/readyz');
  await world.chef.stop();
  await ask('POST', '/events', { kind: 'delete', node: 'chef-is-away' });
  await until('Chef to be missed', async () => {
    await ask('GET', '/readyz');
    return /chef.{1,6}unreachable: connection refused/.test(String(answers.at(-2)));
  });
  await ask('GET', '/jobs');
  webhook.stop();
  expectNoSecret('Redis', await everythingInRedis());
  await redis.stop('SIGKILL');
  await ask('GET', '/jobs');
  await ask('GET', '/readyz');
  expectNoSecret('an answer', JSON.stringify(answers));
  await service.stop();
  expectNoSecret('the log', service.output());
});
