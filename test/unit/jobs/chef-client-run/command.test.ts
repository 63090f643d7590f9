import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCommand } from '../../../../src/jobs/chef-client-run/command.ts';
import { hostLock } from '../../../../src/jobs/chef-client-run/host-lock.ts';
import { freshDirectory, start, until } from '../../../support/process.ts';

const never = new AbortController().signal;
const directory = freshDirectory('locks');
const run = (command: string[], timeoutMs = 60_000, signal = never) =>
  runCommand(command, { lock: hostLock(command, directory).path, timeoutMs, signal });
/** A shell script that no other test runs, so that it has a lock of its own. */
const script = (text: string) => ['/bin/sh', '-c', text, freshDirectory('command')];
const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    // A zombie process has ended.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

/** Has another process run a command, and kills that process while the command runs. */
async function killStarterOf(command: string[], timeoutMs: number): Promise<void> {
  const module = new URL('../../../../src/jobs/chef-client-run/command.ts', import.meta.url).href;
  const starter = await start(process.execPath, {
    args: [
      '--input-type=module',
      '--eval',
      `import { runCommand } from ${JSON.stringify(module)};
       runCommand(${JSON.stringify(command)}, {
         lock: ${JSON.stringify(hostLock(command, directory).path)},
         timeoutMs: ${timeoutMs},
         signal: new AbortController().signal,
       });
       console.log('started');`,
    ],
    ready: /started/,
  });
  await until('the lock to be taken', async () => (await run(command)).busy);
  await starter.stop('SIGKILL');
}

test('a command gives its exit code and what it wrote', async () => {
  expect(await run(script('echo out; echo err >&2; exit 3'))).toEqual({
    exitCode: 3,
    output: 'out\nerr\n',
    busy: false,
    goesOn: false,
  });
});

test('the arguments are passed as they are, without a shell', async () => {
  const odd = ['$HOME', 'a b', ';', '`id`', '*', '--help', ''];
  const { output } = await run(['/usr/bin/printf', '%s\n', ...odd, freshDirectory('command')]);
  expect(output.split('\n').slice(0, odd.length)).toEqual(odd);
});

test('only the last 64 KiB of the output are kept', async () => {
  const { output } = await run(script('yes 0123456789 | head -c 300000; echo the end'));
  expect(output).toHaveLength(65_536);
  expect(output).toMatch(/the end\n$/);
});

test('a program that is not there is a failure that tells its name', async () => {
  const { exitCode, output, busy } = await run([`${freshDirectory('command')}/chef-client`]);
  expect(exitCode).not.toBe(0);
  expect(busy).toBe(false);
  expect(output).toContain('/chef-client');
});

test('at its limit a command is ended with all it started, and the output says so', async () => {
  const { exitCode, output } = await run(script('echo "$$"; sleep 600 & echo "$!"; wait'), 300);
  expect(exitCode).toBeNull();
  expect(output).toContain('[ended after 0.3 s, TRIGGER_TIMEOUT_SECONDS]');
  const [shell = '', child = ''] = output.split('\n');
  await until('both to be gone', () => !alive(Number(shell)) && !alive(Number(child)));
});

test('a command that will not end is killed', { concurrent: true }, async () => {
  const { exitCode, output } = await run(script(`trap '' TERM; echo "$$"; while :; do sleep 1; done`), 300);
  expect(exitCode).toBeNull();
  await until('it to be gone', () => !alive(Number.parseInt(output, 10)));
});

test('a command whose starter was killed is killed with all it started once its time is over', {
  concurrent: true,
}, async () => {
  const marks = freshDirectory('command');
  const ignores = script(`trap '' TERM; sleep 600 & echo "$$ $!" > ${marks}/pids; while :; do sleep 1; done`);
  await killStarterOf(ignores, 300);
  const written = await until(
    'it to begin',
    () => existsSync(`${marks}/pids`) && readFileSync(`${marks}/pids`, 'utf8'),
  );
  const pids = written.trim().split(' ').map(Number);
  expect(pids.map(alive)).toEqual([true, true]);
  await until('both to be gone', () => !pids.some(alive), 30_000);
});

describe('when the service stops', () => {
  test('the command is ended', async () => {
    const stopping = new AbortController();
    const ended = run(script('sleep 600'), 60_000, stopping.signal);
    stopping.abort();
    expect((await ended).output).toContain('[ended because the service stops]');
  });

  test('a command that says 75 then is one whose run goes on elsewhere', async () => {
    const stopping = new AbortController();
    const marks = freshDirectory('command');
    const asks = script(`trap 'exit 75' TERM; touch ${marks}/up; while :; do sleep 0.02; done`);
    const ended = run(asks, 60_000, stopping.signal);
    await until('it to run', () => existsSync(`${marks}/up`));
    stopping.abort();
    expect(await ended).toMatchObject({ exitCode: 75, busy: false, goesOn: true });
  });

  test('a command is ended that was about to begin', async () => {
    expect((await run(script('sleep 600'), 60_000, AbortSignal.abort())).output).toContain('service stops');
  });
});

test('what a command leaves running does not hold it up, even with its output open', async () => {
  const { exitCode, output } = await run(script('setsid sleep 600 & echo "$!"; exit 0'));
  expect(exitCode).toBe(0);
  process.kill(Number.parseInt(output, 10));
});

describe('one command runs once at a time on a host', () => {
  test('the second learns that it is busy, and another command is not', async () => {
    const marks = freshDirectory('command');
    const waits = script(`touch ${marks}/up; until [ -e ${marks}/go ]; do sleep 0.02; done`);
    const first = run(waits);
    await until('the first to run', () => existsSync(`${marks}/up`));
    expect(await run(waits)).toMatchObject({ busy: true });
    expect(await run(script('true'))).toMatchObject({ exitCode: 0, busy: false });
    await run(script(`touch ${marks}/go`));
    expect(await first).toMatchObject({ exitCode: 0, busy: false });
    expect(await run(waits)).toMatchObject({ exitCode: 0, busy: false });
  });

  test('even when the starter of the first was killed and left it behind', async () => {
    const marks = freshDirectory('command');
    const waits = script(`until [ -e ${marks}/go ]; do sleep 0.02; done`);
    await killStarterOf(waits, 60_000);
    expect(await run(waits)).toMatchObject({ busy: true });
    await run(['/usr/bin/touch', join(marks, 'go')]);
    await until('the orphan to end', async () => (await run(waits)).exitCode === 0);
  });

  test('even when it closes every file that it inherited, as sudo does', async () => {
    const close = [3, 4, 5, 6, 7, 8, 9].map(file => `exec ${file}>&-`).join('; ');
    const marks = freshDirectory('command');
    const waits = script(`${close}; touch ${marks}/up; until [ -e ${marks}/go ]; do sleep 0.02; done`);
    const first = run(waits);
    await until('the first to run', () => existsSync(`${marks}/up`));
    expect(await run(waits)).toMatchObject({ busy: true });
    await run(['/usr/bin/touch', join(marks, 'go')]);
    expect(await first).toMatchObject({ exitCode: 0 });
  });

  test('and one that says 75 itself is not busy', async () => {
    const failed = { exitCode: 75, busy: false, goesOn: false };
    expect(await run(script('echo failed; exit 75'))).toMatchObject(failed);
  });
});
