import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freshDirectory, until } from '../../support/process.ts';

const file = (path: string) => new URL(`../../../packaging/${path}`, import.meta.url).pathname;

let directory: string;
let started: ChildProcess[];

beforeEach(() => {
  directory = freshDirectory('packaging');
  started = [];
});
afterEach(() => {
  for (const { pid } of started) {
    try {
      if (pid) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
});

function begin(program: string, args: string[]): ChildProcess {
  const child = spawn(program, args, {
    cwd: directory,
    env: { ...process.env, RUN_CHEF_CLIENT_LOCK: join(directory, 'run.lock') },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  started.push(child);
  return child;
}

/** Runs a script in place of chef-client, as the unit does; its output is a socket that nobody reads yet. */
const run = (script: string) => begin('sh', [file('run-chef-client'), 'sh', '-c', script]);
/** What the peer reads until the other side closes the socket. */
async function read(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) text += chunk;
  return text;
}
const ended = (child: ChildProcess) =>
  until('it to end', () => child.exitCode !== null || child.signalCode !== null);

describe('the run of chef-client as root', () => {
  test('tells what it wrote, then its exit code', async () => {
    expect(await read(run('echo out; echo err >&2; exit 3'))).toBe('out\nerr\n\u{0}3\n');
  });

  test('tells the last 64 KiB', async () => {
    const text = await read(run('yes 0123456789 | head -c 300000; echo the end'));
    expect(text).toHaveLength(65_536);
    expect(text.endsWith('the end\n\u{0}0\n')).toBe(true);
  });

  test('is not held up by a peer that does not read, and neither is the next run', async () => {
    const unread = run('yes 0123456789 | head -c 3000000; touch finished');
    await until('the run to finish', () => existsSync(join(directory, 'finished')));
    await ended(unread);
    expect(await read(run('echo the next'))).toBe('the next\n\u{0}0\n');
  });

  test('goes on when its peer hangs up', async () => {
    const child = run('touch begun; until [ -e go ]; do sleep 0.02; done; echo more; touch finished');
    await until('it to begin', () => existsSync(join(directory, 'begun')));
    child.stdout?.destroy();
    writeFileSync(join(directory, 'go'), '');
    await until('the run to finish', () => existsSync(join(directory, 'finished')));
  });

  test('is not begun beside another one, and says so by exit code 75 and no output', async () => {
    const first = run('touch begun; until [ -e go ]; do sleep 0.02; done');
    await until('the first to begin', () => existsSync(join(directory, 'begun')));
    expect(await read(run('echo begun too'))).toBe('\u{0}75\n');
    writeFileSync(join(directory, 'go'), '');
    expect(await read(first)).toBe('\u{0}0\n');
  });

  test('that is ended at its limit, as systemd does it, tells what it wrote until then', async () => {
    const child = run('echo stuck here; touch begun; while :; do sleep 1; done');
    await until('it to begin', () => existsSync(join(directory, 'begun')));
    process.kill(-(child.pid ?? 0), 'SIGTERM');
    expect(await read(child)).toMatch(/^stuck here\n/);
  });

  test('cannot be kept away, nor its output read, by other users, even where an earlier release left the files open', async () => {
    for (const name of ['run.lock', 'run.output']) {
      writeFileSync(join(directory, name), '');
      chmodSync(join(directory, name), 0o666);
    }
    await read(run('true'));
    for (const name of ['run.lock', 'run.output'])
      expect(statSync(join(directory, name)).mode & 0o777, name).toBe(0o600);
  });

  test('does not change the permissions of what chef-client makes', async () => {
    await read(run('umask > umask'));
    expect(readFileSync(join(directory, 'umask'), 'utf8').trim()).toBe('0022');
  });
});

describe('the program that asks for a run', () => {
  const socketPath = () => join(directory, 'socket');

  async function ask(
    reply: string | undefined,
  ): Promise<{ child: ChildProcess; connected: Promise<unknown> }> {
    const server = createServer({ allowHalfOpen: true }, socket => {
      if (reply !== undefined) socket.end(reply);
    });
    await new Promise<void>(resolve => server.listen(socketPath(), resolve));
    const connected = new Promise(resolve => server.once('connection', resolve));
    server.unref();
    return { child: begin(process.execPath, [file('ask-chef-client.ts'), socketPath()]), connected };
  }

  test('writes the output and exits as the run did', async () => {
    const { child } = await ask('went wrong\n\u{0}42\n');
    expect(await read(child)).toBe('went wrong\n');
    await ended(child);
    expect(child.exitCode).toBe(42);
  });

  test('says by exit code 75 that the run goes on if it is asked to end', async () => {
    const { child, connected } = await ask(undefined);
    await connected;
    child.kill('SIGTERM');
    await ended(child);
    expect(child.exitCode).toBe(75);
  });

  test('fails, and names the journal, if the run ended without an exit code', async () => {
    const { child } = await ask('stuck here\n');
    let said = '';
    child.stderr?.on('data', chunk => (said += chunk));
    expect(await read(child)).toBe('stuck here\n');
    await ended(child);
    expect(child.exitCode).toBe(1);
    await until('the reason', () => said.includes('journalctl'));
  });
});
