import { spawn } from 'node:child_process';
import { describe } from '../../domain/errors.ts';

export interface CommandResult {
  /** null where a signal ended it or it could not be started; the output says which. */
  exitCode: number | null;
  /** The last 64 KiB of stdout and stderr. */
  output: string;
  /** Not run: an earlier run of the same command still holds this host's lock. */
  busy: boolean;
  /** A run is still under way on this host: the earlier one, or this one, which said so when it was ended. */
  goesOn: boolean;
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
/** How much later a command is killed whose starter can no longer do it. */
const ORPHAN_MS = 5_000;
/** How long what it started and left behind may keep its output open once it ended. */
const LINGER_MS = 1_000;
/** EX_TEMPFAIL of sysexits.h: by this a command, too, says that a run is under way, as packaging/ask-chef-client.ts does. */
const BUSY = 75;

/** After this time a command has ended, even if its starter was killed. @param timeoutMs what it is run with */
export const longestRunMs = (timeoutMs: number) => timeoutMs + GRACE_MS + ORPHAN_MS;

/**
 * Runs a command without a shell, never twice at once on a host: flock(1) takes a lock that the command inherits, so
 * that even one whose starter was killed holds it until it ends. Resolves always; at the limit, or when `signal`
 * aborts, its process group gets SIGTERM and then SIGKILL. If the starter was killed, timeout(1) does the latter.
 */
export function runCommand(
  command: readonly string[],
  { lock, timeoutMs, signal }: CommandOptions,
): Promise<CommandResult> {
  return new Promise(resolve => {
    // timeout(1) takes the place of flock(1), with the lock, and ends as the command does.
    const locked = ['--nonblock', '--conflict-exit-code', String(BUSY), '--no-fork', lock];
    const limited = ['timeout', '--signal=KILL', String(longestRunMs(timeoutMs) / 1000)];
    const child = spawn('flock', [...locked, ...limited, ...command], {
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
    let stopped = false;
    const stop = (why: string) => {
      stopped = true;
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
      const busy = exitCode === BUSY && output === '';
      resolve({ exitCode, output, busy, goesOn: busy || (exitCode === BUSY && stopped) });
    };
    child.once('error', error => {
      keep(`could not be started: ${describe(error)}`);
      finish(null);
    });
    // After SIGTERM what it started has as long to end as the command itself.
    child.once('exit', () => !patience && release());
    child.once('close', exitCode => finish(exitCode));
  });
}
