import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ALERTS, type AlertName, alert } from '../../src/domain/alert.ts';
import { registerNode } from '../support/chef-server.ts';
import { type SceneService, useScene } from '../support/scene.ts';
import { TOKEN } from '../support/service.ts';
import { instanceId } from '../support/termination.ts';

const scene = useScene();
let scenes = 0;
const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Jobs that are held for these reasons only: over the budget, and another instance than the event names. */
async function heldJobs(): Promise<{ service: SceneService; overBudget: string; other: string }> {
  const service = await scene.serve({ MAX_DELETES: '1' });
  const first = 10 * ++scenes;
  const nameOf = (at: number) => `node-${first + at}`;
  for (const at of [1, 2, 3]) {
    await registerNode(scene.world.chef, { name: nameOf(at), instanceId: instanceId(first + at) });
  }
  const ask = (node: number, instance: number) =>
    service.api.event({ kind: 'delete', node: nameOf(node), instanceId: instanceId(first + instance) });
  await service.api.finished(await ask(1, 1));
  const overBudget = await ask(2, 2);
  const other = await ask(3, 4);
  await Promise.all([overBudget, other].map(id => service.api.finished(id, 'held')));
  return { service, overBudget, other };
}

/** The requests that an alert tells a person to send. */
function requestsIn(name: AlertName, job: string): [method: string, path: string][] {
  const { whatToDo } = alert(name, 'it happened', { job });
  return [...whatToDo.matchAll(/\b(GET|POST) (\/[\w/?=&-]+)/g)].map(([, method = '', path = '']) => [
    method,
    path,
  ]);
}

test('each request that an alert advises is one that the API takes', async () => {
  const { service, other } = await heldJobs();
  const advised = (Object.keys(ALERTS) as AlertName[]).flatMap(name => requestsIn(name, other));
  expect(advised.length).toBeGreaterThan(8);
  for (const [method, path] of advised.filter(([, each]) => each !== '/events')) {
    const { status } = await service.api.request(method, path.endsWith('=') ? `${path}web-1` : path);
    // A job that is in another state by then is a conflict, and no wrong advice.
    expect([200, 202, 409], `${method} ${path}`).toContain(status);
  }
});

test('approving as the alert about too many deletions advises lets go what is held for just that', async () => {
  const { service, overBudget, other } = await heldJobs();
  const [approve] = requestsIn('too-many-deletions', overBudget);
  expect(await service.api.request(...(approve ?? ['', '']))).toMatchObject({ body: { count: 1 } });
  await service.api.finished(overBudget);
  expect(await service.api.job(other)).toMatchObject({ state: 'held' });
});

test('each bulk decision that the runbook advises is one that the command line takes', async () => {
  const { service } = await heldJobs();
  const readme = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
  const commands = [...readme.matchAll(/`((?:approve|discard|retry) --all[^`]*)`/g)].map(
    ([, line = '']) => line,
  );
  expect(commands.length).toBeGreaterThan(2);
  const env = {
    PATH: process.env['PATH'],
    CHEF_DEREGISTRATION_URL: service.url,
    CHEF_DEREGISTRATION_TOKEN: TOKEN,
  };
  for (const command of commands) {
    const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...command.split(/\s+/)], { env });
    expect(stdout, command).toMatch(/^\d+ jobs/);
  }
});
