import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiClient } from '../support/api-client.ts';
import { registerNode, textsOf } from '../support/chef-server.ts';
import { until } from '../support/process.ts';
import { startServiceProcess, testEnvironment } from '../support/service.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;

beforeAll(async () => {
  world = await startWorld({ hosts: ['web-1'] });
});

afterAll(() => world?.stop());

test('deleted nodes are restored whole by a worker that is killed with -9 again and again', {
  timeout: 90_000,
}, async () => {
  const names = Array.from({ length: 6 }, (_, n) => `killed-${n}`);
  for (const name of names) await registerNode(world.chef, { name, normal: { name } });
  const whole = () => Promise.all(names.map(name => textsOf(world.chef, name)));
  const before = await whole();
  const env = testEnvironment({ ...world.env, LOG_LEVEL: 'info' });
  let service = await startServiceProcess(env);
  try {
    let api = apiClient(service.url);
    for (const node of names) await api.event({ kind: 'delete', node });
    await api.settled();
    expect(await whole()).toEqual(names.map(() => ({ node: null, client: null })));
    for (const node of names) await api.event({ kind: 'ensure', node });
    for (const word of ['"step":"alert"', '"step":"recreate-client"']) {
      await until(`the log to say ${word}`, () => service.output().includes(word));
      await service.stop('SIGKILL');
      service = await startServiceProcess(env);
    }
    api = apiClient(service.url);
    await api.settled(['done'], 60_000);
    expect(await whole()).toEqual(before);
  } finally {
    await service.stop();
  }
});
