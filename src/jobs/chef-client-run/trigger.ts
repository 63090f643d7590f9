import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { redisFault } from '../../clients/redis/fault.ts';
import { describe } from '../../domain/errors.ts';
import { backoff } from '../../lib/backoff.ts';
import type { RunScript } from '../scripts.ts';
import { type CommandResult, longestRunMs, runCommand } from './command.ts';
import { type HostLock, hostLock } from './host-lock.ts';

export interface TriggerOptions {
  prefix: string;
  command: readonly string[];
  /** Quiet time between the last change in Chef and the run, in milliseconds. */
  settleMs: number;
  /** Limit of a run, in milliseconds. */
  timeoutMs: number;
  /** Called when a run did not exit 0. */
  onFailure?: (whatHappened: string) => void;
  /** Called when an earlier run holds this host's lock for longer than a run may take. */
  onBlocked?: (whatHappened: string) => void;
  /** Called after each run; one that found the command busy is none. */
  onRun?: (result: 'done' | 'failed' | 'stopped', seconds: number) => void;
}

export interface TriggerStatus {
  state: 'idle' | 'waiting' | 'running';
  /** Deletions that no run has covered yet. */
  pendingDeletes: number;
  lastRun: LastRun | null;
}

interface LastRun {
  startedAt: string;
  finishedAt: string;
  exitCode: number | null;
  output: string;
}

interface Ended extends Pick<CommandResult, 'exitCode'> {
  /** Until the next run. @default 0 */
  waitMs?: number;
  /** @default false */
  goesOn?: boolean;
  /** Absent if no run was made. */
  lastRun?: LastRun;
}

const TICK_MS = 500;
/** If the owner of the lease does not renew its claim for this long, it counts as dead for other processes of its host. */
const SILENCE_MS = 15_000;
/** However busy the service is, a run begins this much later than the change that wants it. */
const LONGEST_WAIT_MS = 600_000;
/** Between a run that failed and its repetition. */
const RUN_WAITS = { firstMs: 1_000, longestMs: 300_000 };

/**
 * Runs chef-client once all is quiet.
 *
 * Every job stamps itself into `uncovered` with the next value of one clock before it changes anything in Chef. A run
 * begins, in one step with noting the clock, only while no job is open; so a job with a stamp up to that clock has
 * finished before the run began, and the run sees its change. A run that exits 0 removes the stamps up to its clock;
 * later ones stay and ask for another run. A process that is killed in between leaves the stamps, so that a run is still wanted.
 *
 * Where it is never quiet a run begins all the same after a while, and the argument holds: in one step with noting the
 * clock, the stamps of all jobs that are open are moved behind it, so that it covers only jobs that have finished.
 *
 * One host at a time runs chef-client: the lease lasts until the longest run has ended, even one whose service was
 * killed. Before that only a process that sees the same lock file takes it over, since flock(1) tells it whether that run
 * has ended.
 */
export class Trigger {
  readonly #redis: Redis;
  readonly #run: RunScript;
  readonly #options: TriggerOptions;
  readonly #log: Logger;
  readonly #owner = randomUUID();
  readonly #stopping = new AbortController();
  #lockDirectory: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #current: Promise<void> | undefined;

  constructor(redis: Redis, run: RunScript, options: TriggerOptions, log: Logger) {
    this.#redis = redis;
    this.#run = run;
    this.#options = options;
    this.#log = log;
  }

  /** Notes that a job is about to change what Chef knows. */
  async stamp(jobId: string): Promise<void> {
    await this.#run('stamp', jobId);
  }

  async status(): Promise<TriggerStatus> {
    const { prefix } = this.#options;
    const [pendingDeletes, running, lastRun] = await Promise.all([
      this.#redis.zcard(`${prefix}:trigger:uncovered`),
      this.#redis.exists(`${prefix}:trigger:lease`),
      this.#redis.hget(`${prefix}:trigger`, 'lastRun'),
    ]);
    const waiting = pendingDeletes > 0 ? 'waiting' : 'idle';
    return {
      state: running ? 'running' : waiting,
      pendingDeletes,
      lastRun: lastRun ? JSON.parse(lastRun) : null,
    };
  }

  /** From now on this process runs chef-client when it is due. @param lockDirectory for the lock of this host */
  start(lockDirectory: string): void {
    this.#lockDirectory = lockDirectory;
    this.#timer = setInterval(() => this.check(), TICK_MS);
  }

  /** Looks whether a run is due, and begins it; one at a time. Does nothing if this process runs no chef-client. */
  check(): void {
    if (this.#lockDirectory === undefined || this.#current || this.#stopping.signal.aborted) return;
    this.#current = this.#runIfDue(this.#lockDirectory)
      .catch(error => {
        // RedisCheck logs what is wrong with Redis.
        const level = redisFault(error) ? 'debug' : 'warn';
        this.#log[level]({ err: describe(error) }, 'chef-client trigger: will look again');
      })
      .finally(() => {
        this.#current = undefined;
      });
  }

  /** Ends a run that is under way; it is repeated after the next start. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    await this.#current;
  }

  async #runIfDue(lockDirectory: string): Promise<void> {
    const { command, timeoutMs, settleMs } = this.#options;
    const lock = hostLock(command, lockDirectory);
    const leaseMs = SILENCE_MS + longestRunMs(timeoutMs);
    const limits = [leaseMs, SILENCE_MS, settleMs, LONGEST_WAIT_MS];
    const asked = performance.now();
    const clock = await this.#run('begin-run', this.#owner, lock.identity, ...limits);
    if (clock === null) return;
    // A process that was paused here may have lost the lease, or would start a run that outlasts it.
    if (performance.now() - asked > SILENCE_MS)
      return void (await this.#end(String(clock), { exitCode: null }));
    const renewal = setInterval(() => this.#renew(), SILENCE_MS / 3);
    try {
      await this.#runOnce(String(clock), lock);
    } finally {
      clearInterval(renewal);
    }
  }

  async #runOnce(clock: string, lock: HostLock): Promise<void> {
    const { command, timeoutMs } = this.#options;
    const startedAt = new Date();
    this.#log.info({ command: command.join(' ') }, 'chef-client run begins');
    const { signal } = this.#stopping;
    const { exitCode, output, busy, goesOn } = await runCommand(command, {
      lock: lock.path,
      timeoutMs,
      signal,
    });
    const finishedAt = new Date();
    const lastRun: LastRun = {
      startedAt: startedAt.toISOString(),
      finishedAt: finishedAt.toISOString(),
      exitCode,
      output,
    };
    const failures = Number(await this.#redis.hget(`${this.#options.prefix}:trigger`, 'failures'));
    const waitMs = backoff(busy ? 1 : failures + 1, RUN_WAITS);
    this.#tell(lastRun, busy, waitMs);
    const blockedMs = await this.#end(clock, { exitCode, waitMs, goesOn, ...(!busy && { lastRun }) });
    if (blockedMs > longestRunMs(timeoutMs)) {
      const minutes = Math.round(blockedMs / 60_000);
      this.#options.onBlocked?.(
        `an earlier chef-client run on ${hostname()} has been in the way of the next one for ${minutes} min; its lock is ${lock.path}`,
      );
    }
  }

  /** @returns for how long a run that goes on has been in the way, in milliseconds */
  async #end(clock: string, { exitCode, waitMs = 0, goesOn = false, lastRun }: Ended): Promise<number> {
    const told = lastRun ? JSON.stringify(lastRun) : '';
    const keep = goesOn ? 'goes on' : '';
    return Number(await this.#run('end-run', this.#owner, clock, exitCode ?? '', waitMs, told, keep));
  }

  #tell({ startedAt, finishedAt, exitCode, output }: LastRun, busy: boolean, waitMs: number): void {
    const seconds = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
    const failed = this.#stopping.signal.aborted ? 'stopped' : 'failed';
    if (!busy) this.#options.onRun?.(exitCode === 0 ? 'done' : failed, seconds);
    if (busy) {
      this.#log.warn(
        { inMs: waitMs },
        'an earlier chef-client run of this host is still under way; trying again after it',
      );
    } else if (exitCode === 0) this.#log.info({ exitCode, seconds }, 'chef-client run done');
    else if (!this.#stopping.signal.aborted) {
      const end = output.slice(-2_000);
      this.#log.error(
        { exitCode, seconds, output: end, inMs: waitMs },
        'chef-client run failed; it is repeated',
      );
      const how = exitCode === null ? 'by a signal' : exitCode;
      this.#options.onFailure?.(`${this.#options.command.join(' ')} exited ${how}: ${end.trim()}`);
    }
  }

  async #renew(): Promise<void> {
    const key = `${this.#options.prefix}:trigger:alive`;
    try {
      if ((await this.#redis.get(key)) === this.#owner) await this.#redis.pexpire(key, SILENCE_MS);
    } catch {
      // Redis is away. If another process of this host takes the lease over meanwhile, it finds the lock held.
    }
  }
}
