import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const home = join(import.meta.dirname, '../../.parts');
const root = join(home, 'root');
/** Debian keeps libraries in one folder per architecture (`x86_64-linux-gnu`). */
export const libraries = globSync(join(root, 'usr/lib/*-linux-gnu*')).join(':');

/** Where set-up unpacked a file of a Debian package: `unpacked('usr/bin/goiardi')`. */
export function unpacked(path: string): string {
  return join(root, path);
}

/** A shell that set-up unpacked, or that every Debian has. */
export function shellProgram(name: string): string {
  const folders = ['usr/bin', 'bin'].map(folder => join(home, 'shells', folder));
  const found = [...folders, '/bin'].map(folder => join(folder, name)).find(path => existsSync(path));
  if (!found) throw new Error(`there is no ${name}: run sh scripts/setup.sh`);
  return found;
}

export const runFolder = join(home, 'run');

/** A new empty directory under the project's ignored folder, named after this process. */
export function freshDirectory(name: string): string {
  mkdirSync(runFolder, { recursive: true });
  return mkdtempSync(join(runFolder, `${name}-${process.pid}-`));
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

type Falsy = false | 0 | '' | null | undefined;

/** Waits until `probe` answers something truthy, and gives it back; fails with `what` and the last error after `timeoutMs`. */
export async function until<T>(
  what: string,
  probe: () => Promise<T> | T,
  timeoutMs = 20_000,
): Promise<Exclude<T, Falsy>> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value as Exclude<T, Falsy>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: last });
    await delay(20);
  }
}

export interface Running {
  child: ChildProcess;
  /** Everything it wrote so far, stdout and stderr together. */
  output: () => string;
  /** Ends it and waits until it is gone; SIGTERM by default, SIGKILL after ten seconds. */
  stop: (signal?: NodeJS.Signals) => Promise<void>;
}

export interface StartOptions {
  args?: string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** It is up when its output matches, or when the probe answers true. */
  ready: RegExp | (() => Promise<boolean>);
}

const running = new Set<ChildProcess>();
// Whatever ends the tests or the demo, no part outlives them.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program and resolves when it is ready; rejects with its output when it ends before that. */
export async function start(program: string, options: StartOptions): Promise<Running> {
  // It is killed with the thread that started it, however that one ends: no test leaves a server behind.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...(options.args ?? [])], {
    cwd: options.cwd,
    env: { ...process.env, LD_LIBRARY_PATH: libraries, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let output = '';
  child.stdout.on('data', chunk => (output += chunk));
  child.stderr.on('data', chunk => (output += chunk));
  let ended = false;
  const exit = new Promise<void>(resolve => {
    child.once('error', error => {
      output += error.message;
      ended = true;
      resolve();
    });
    child.once('exit', () => {
      ended = true;
      running.delete(child);
      resolve();
    });
  });
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (ended) return;
    child.kill(signal);
    const patience = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await exit;
    clearTimeout(patience);
  };
  const { ready } = options;
  try {
    await until(`${program} to be ready`, () => {
      if (ended) return true;
      return ready instanceof RegExp ? ready.test(output) : ready();
    });
    if (ended) throw new Error(`${program} ended with ${child.exitCode}`);
  } catch (error) {
    await stop('SIGKILL');
    throw new Error(`${program} did not start: ${output.slice(-2000)}`, { cause: error });
  }
  return { child, output: () => output, stop };
}
