import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { COMMANDS } from '../../src/cli/command-table.ts';
import type { Job } from '../../src/domain/job.ts';
import { registerNode } from '../support/chef-server.ts';
import { freshDirectory, start } from '../support/process.ts';
import { startTestService, TOKEN, testEnvironment } from '../support/service.ts';
import { instanceId } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

const PROGRAM = new URL('../../src/cli/main.ts', import.meta.url).pathname;
let world: World;
let service: Service;
let tokenFile: string;

beforeAll(async () => {
  world = await startWorld({ hosts: ['web-1'] });
  service = await startTestService({ ...world.env, PROTECTED_NODES: 'db-*' });
  tokenFile = join(freshDirectory('cli'), 'token');
  writeFileSync(tokenFile, `${TOKEN}\n`);
});
afterAll(async () => {
  await service?.close('end of the tests');
  await world?.stop();
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs it as people do, told of service and token by the environment. */
function cli(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const known = { CHEF_DEREGISTRATION_URL: service.url, CHEF_DEREGISTRATION_TOKEN_FILE: tokenFile };
  return run(process.execPath, [PROGRAM, ...args], { ...known, ...env });
}

function run(program: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise(resolve => {
    const child = execFile(program, args, { env: { ...process.env, ...env } }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

describe('a node', () => {
  test('is deleted while each step is shown, and the job is shown', async () => {
    await registerNode(world.chef, { name: 'web-1', instanceId: instanceId(1) });
    const { code, stdout, stderr } = await cli(['delete', 'web-1', '--reason', 'not needed', '--wait']);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/web-1: find done[\s\S]*web-1: delete-node done[\s\S]*web-1: job done/);
    expect(stdout).toMatch(/^state +done$/m);
    expect(stdout).toMatch(/^requested by +api, tests$/m);
    expect(stdout).toMatch(/^delete-node +done +\d{4}-/m);
    expect(await world.chef.chef.getNode('web-1')).toBeUndefined();
  });

  test('is restored from the archive that is named', async () => {
    const listed = await cli(['archives', '--node', 'web-1', '--json']);
    const [{ id }] = JSON.parse(listed.stdout);
    const { code } = await cli(['ensure', 'web-1', '--archive', id, '--wait']);
    expect(code).toBe(0);
    expect(await world.chef.chef.getNode('web-1')).toBeDefined();
    expect(JSON.parse((await cli(['archives', id])).stdout).chef.node.name).toBe('web-1');
  });

  test('that is protected stays until a person approves, and the exit code says so', async () => {
    await registerNode(world.chef, { name: 'db-1' });
    const held = await cli(['delete', 'db-1', '--wait', '--json']);
    expect(held.code).toBe(3);
    const { id } = JSON.parse(held.stdout) as Job;
    expect((await cli(['jobs', '--state', 'held'])).stdout).toMatch(
      new RegExp(`^${id} +delete +held +db-1 `, 'm'),
    );
    const approved = await cli(['approve', id, '--wait']);
    expect(approved.code, approved.stderr).toBe(0);
    expect(await world.chef.chef.getNode('db-1')).toBeUndefined();
  });

  test('many that are held are given up at once', async () => {
    for (const name of ['db-2', 'db-3']) {
      await registerNode(world.chef, { name });
      expect((await cli(['delete', name, '--wait'])).code).toBe(3);
    }
    expect(await cli(['discard', '--all', '--node', 'db-2'])).toMatchObject({ code: 0, stdout: '1 jobs\n' });
    expect(await cli(['discard', '--all', '--wait', '--json'])).toMatchObject({ code: 0 });
    const { stdout } = await cli(['jobs', '--state', 'discarded', '--json']);
    expect((JSON.parse(stdout) as Job[]).map(job => [job.node, job.error?.code])).toEqual([
      ['db-3', 'discarded'],
      ['db-2', 'discarded'],
    ]);
  });
});

test('more jobs than fit on a page are fetched page by page', async () => {
  const { stdout } = await cli(['jobs', '--limit', '100000', '--json']);
  const jobs = JSON.parse(stdout) as Job[];
  const newest = JSON.parse((await cli(['jobs', '--limit', '1', '--json'])).stdout);
  expect(newest).toEqual(jobs.slice(0, 1));
});

test('the chef-client run and the state of each part are shown', async () => {
  expect((await cli(['trigger'])).stdout).toMatch(/^(idle|waiting|running), \d+ changes not covered$/m);
  const health = await cli(['health']);
  expect(health.code, health.stdout).toBe(0);
  expect(health.stdout).toMatch(/^redis +ok$/m);
});

test('the service itself is one of its commands', async () => {
  const running = await start(process.execPath, {
    args: [PROGRAM, 'serve'],
    env: { ...testEnvironment(world.env), LOG_LEVEL: 'info' },
    ready: /"url":"http/,
  });
  const url = /"url":"(https?:[^"]+)"/.exec(running.output())?.[1] ?? '';
  expect((await cli(['health', '--url', url])).code).toBe(0);
  await running.stop('SIGTERM');
  expect(running.child.exitCode).toBe(0);
});

describe('an error', () => {
  test.each([
    ['of usage ends with 2', ['jobs', '--state', 'dead'], {}, 2, /--state is one of queued, running/],
    ['of an unknown command ends with 2', ['remove', 'web-1'], {}, 2, /no command remove/],
    ['of a missing operand ends with 2', ['delete'], {}, 2, /name a node/],
    ['of an operand too many ends with 2', ['check', 'web-1'], {}, 2, /nothing can be done with web-1/],
    ['of the service is in its own words', ['job', 'none'], {}, 1, /there is no job none/],
    ['of a name that is none names the field', ['delete', '../x'], {}, 1, /node/],
    [
      'of a missing token says where it goes',
      ['jobs'],
      { CHEF_DEREGISTRATION_TOKEN_FILE: '/dev/null' },
      1,
      /--token-file/,
    ],
    [
      'of a token file that is not there ends with 2',
      ['jobs', '--token-file', '/nowhere'],
      {},
      2,
      /\/nowhere/,
    ],
    [
      'of a service that is away ends with 4',
      ['jobs', '--url', 'http://127.0.0.1:9'],
      {},
      4,
      /127\.0\.0\.1:9 cannot be reached/,
    ],
  ])('%s', async (_name, args, env, code, said) => {
    const ended = await cli(args, env);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(ended.stderr).toMatch(said);
    expect(ended.stderr).not.toContain(TOKEN);
  });
});

test('bash completes commands, options and states', async () => {
  const complete = async (...words: string[]) => {
    const script = `source <("$0" "$1" completion); shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _chef_deregistration_manager; echo "\${COMPREPLY[@]}"`;
    const { stdout } = await run('bash', [
      '-c',
      script,
      process.execPath,
      PROGRAM,
      'chef-deregistration-manager',
      ...words,
    ]);
    return stdout.trim().split(' ');
  };
  expect(await complete('')).toEqual([...Object.keys(COMMANDS), '--help']);
  expect(await complete('di')).toEqual(['discard']);
  expect(await complete('jobs', '--st')).toEqual(['--state']);
  expect(await complete('jobs', '--state', 'f')).toEqual(['failed']);
  expect(await complete('sweep', '--m')).toEqual(['--most-are-dead']);
  expect(await complete('sweep', '--living', '/etc/host')).toContain('/etc/hosts');
  expect(await complete('check', '--u')).toEqual(['']);
});

test('help names every command and every option', async () => {
  const { stdout, code } = await cli(['--help']);
  expect(code).toBe(0);
  for (const name of Object.keys(COMMANDS)) expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
  expect((await cli(['ensure', '--help'])).stdout).toMatch(/--archive …[\s\S]*--wait/);
});
