import type { Token } from '../../../src/jobs/store.ts';
import { says, type TestStore } from './store-fixture.ts';

/** What Redis is asked for the sake of chef-client runs; each call happens as a whole or not at all. */
export interface Protocol {
  /** @returns the job's id */
  open: () => Promise<string>;
  close: (job: string) => Promise<void>;
  stamp: (job: string) => Promise<void>;
  /** @returns the clock up to which the run covers, or null if none may begin */
  beginRun: (owner: string, host: number) => Promise<number | null>;
  endRun: (owner: string, clock: number, outcome: Outcome) => Promise<void>;
  /** The owner of the lease has not renewed its claim for long enough to count as dead. */
  silence: () => Promise<void>;
  /** The time of the lease is over. */
  expireLease: () => Promise<void>;
  pending: () => Promise<number>;
  /** One unit of time passes. */
  tick: () => Promise<void>;
}

/** `goesOn`: the lock of the host showed that a run is still under way there. */
type Outcome = 'done' | 'failed' | 'goesOn';

/** How long a run waits for open jobs at most, in ticks. */
const LONGEST = 12;

export interface ProtocolRules {
  waitsForOpenJobs: boolean;
  leavesOpenJobsUncovered: boolean;
  coversOnlyWhatWasStampedBefore: boolean;
  coversOnlyIfItSucceeded: boolean;
  /** Only a process of the owner's host may take the lease over before its time is over. */
  leaseStaysOnHost: boolean;
  /** A run that goes on keeps the lease. */
  leaseCoversWhatGoesOn: boolean;
}

/** The protocol in memory, in as few words as it takes. */
export function modelProtocol(rules: ProtocolRules): Protocol {
  const openJobs = new Set<string>();
  const uncovered = new Map<string, number>();
  let jobs = 0;
  let clock = 0;
  let since = 0;
  let now = 0;
  let lease: { owner: string; host: number; silent: boolean; startedAt: number } | undefined;
  return {
    async open() {
      const job = `job-${jobs++}`;
      openJobs.add(job);
      return job;
    },
    close: async job => void openJobs.delete(job),
    async stamp(job) {
      if (uncovered.size === 0) since = now;
      uncovered.set(job, ++clock);
    },
    async beginRun(owner, host) {
      if (uncovered.size === 0) return null;
      if (lease) {
        if (lease.host !== host && rules.leaseStaysOnHost) return null;
        if (lease.owner !== owner && !lease.silent) return null;
      }
      const covers = clock;
      if (openJobs.size > 0 && rules.waitsForOpenJobs) {
        if (now < since + LONGEST) return null;
        const still = [...uncovered.keys()].filter(job => openJobs.has(job));
        clock += 1;
        if (rules.leavesOpenJobsUncovered) for (const job of still) uncovered.set(job, clock);
      }
      lease = { owner, host, silent: false, startedAt: now };
      return covers;
    },
    async endRun(owner, covers, outcome) {
      if (lease?.owner !== owner) return;
      lease.silent = true;
      if (outcome === 'goesOn' && rules.leaseCoversWhatGoesOn) return;
      if (outcome === 'done' || !rules.coversOnlyIfItSucceeded) {
        const upTo = rules.coversOnlyWhatWasStampedBefore ? covers : clock;
        for (const [job, at] of uncovered) if (at <= upTo) uncovered.delete(job);
        since = lease.startedAt;
      }
      lease = undefined;
    },
    async silence() {
      if (lease) lease.silent = true;
    },
    async expireLease() {
      lease = undefined;
    },
    pending: async () => uncovered.size,
    tick: async () => void now++,
  };
}

/** The same, by the scripts that the service runs in Redis. */
export function redisProtocol(it: TestStore): Protocol {
  const { redis, prefix, run, accept, store } = it;
  const tokens = new Map<string, Token[]>();
  return {
    async open() {
      const accepted = await accept(says('delete', `node-${tokens.size}`));
      tokens.set(accepted.jobId, accepted.tokens);
      return accepted.jobId;
    },
    close: async id => void (await store.move({ id }, ['queued'], 'done')),
    stamp: async job => void (await run('stamp', job)),
    async beginRun(owner, host) {
      const limits = [LEASE_MS, LEASE_MS, 0, LONGEST * TICK_MS];
      const clock = await run('begin-run', owner, `host-${host}`, ...limits);
      return clock === null ? null : Number(clock);
    },
    async endRun(owner, clock, outcome) {
      const goesOn = outcome === 'goesOn' ? 'goes on' : '';
      await run('end-run', owner, clock, outcome === 'done' ? '0' : '1', 0, '{}', goesOn);
    },
    silence: async () => void (await redis.del(`${prefix}:trigger:alive`)),
    expireLease: async () => void (await redis.del(`${prefix}:trigger:lease`, `${prefix}:trigger:alive`)),
    pending: () => redis.zcard(`${prefix}:trigger:uncovered`),
    tick: () => letTimePass(it, TICK_MS),
  };
}

/** Longer than what a test takes, so that its own time makes no difference. */
const TICK_MS = 3_600_000;
const LEASE_MS = 600_000;
/** The fields of the trigger's hash that are times. */
const TIMES = ['since', 'changedAt', 'startedAt', 'cutAt', 'notBefore', 'busySince'];

/** Moves all times of the trigger back, as if so much time had passed on Redis's clock. */
export async function letTimePass({ redis, prefix }: TestStore, ms: number): Promise<void> {
  const key = `${prefix}:trigger`;
  const times = await redis.hmget(key, ...TIMES);
  const moved = TIMES.flatMap((name, at) => (times[at] ? [name, Number(times[at]) - ms] : []));
  if (moved.length > 0) await redis.hset(key, ...moved);
}
