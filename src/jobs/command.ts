import { spawn } from 'node:child_process';
import { describe } from '../errors.ts';

export interface CommandResult {
  /** null where a signal ended it or it could not be started; the output says which. */
  exitCode: number | null;
  /** The last 64 KiB of stdout and stderr. */
  output: string;
  /** Not run: an earlier run of the same command still holds this host's lock. */
  busy: boolean;
}

export interface CommandOptions {
  /** Path of the lock file, which is made if it is not there. */
  lock: string;
  timeoutMs: number;
  /** Ends the command. */
  signal: AbortSignal;
}

const OUTPUT_BYTES = 64 * 1024;
/** How long a command may take to end by itself after SIGTERM. */
const GRACE_MS = 10_000;
/** How long what it started and left behind may keep its output open once it ended. */
const LINGER_MS = 1_000;
/** EX_TEMPFAIL of sysexits.h, which the command is not likely to use. */
const BUSY = 75;

/**
 * Runs a command without a shell, never twice at once on a host: flock(1) takes a lock that the command inherits, so
 * that even one whose starter was killed holds it until it ends. Resolves always; at the limit, or when `signal`
 * aborts, its process group gets SIGTERM and then SIGKILL.
 */
export function runCommand(
  command: readonly string[],
  { lock, timeoutMs, signal }: CommandOptions,
): Promise<CommandResult> {
  return new Promise(resolve => {
    const child = spawn('flock', ['--nonblock', '--conflict-exit-code', String(BUSY), lock, ...command], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (text: string) => {
      output = (output + text).slice(-OUTPUT_BYTES);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', keep);

    const kill = (how: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, how);
      } catch {
        // It ended meanwhile.
      }
    };
    const release = () =>
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, LINGER_MS).unref();
    let patience: NodeJS.Timeout | undefined;
    const stop = (why: string) => {
      keep(`\n[${why}]\n`);
      kill('SIGTERM');
      patience = setTimeout(() => {
        kill('SIGKILL');
        release();
      }, GRACE_MS);
    };
    const limit = setTimeout(
      () => stop(`ended after ${timeoutMs / 1000} s, TRIGGER_TIMEOUT_SECONDS`),
      timeoutMs,
    );
    const abort = () => stop('ended because the service stops');
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });

    const finish = (exitCode: number | null) => {
      clearTimeout(limit);
      clearTimeout(patience);
      signal.removeEventListener('abort', abort);
      resolve({ exitCode, output, busy: exitCode === BUSY && output === '' });
    };
    child.once('error', error => {
      keep(`could not be started: ${describe(error)}`);
      finish(null);
    });
    // At SIGTERM flock(1) ends before the command does.
    child.once('exit', () => !patience && release());
    child.once('close', exitCode => finish(exitCode));
  });
}
