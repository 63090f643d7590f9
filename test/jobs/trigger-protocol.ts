import type { Token } from '../../src/jobs/store.ts';
import { says, type TestStore } from './store-fixture.ts';

/** What Redis is asked for the sake of chef-client runs; each call happens as a whole or not at all. */
export interface Protocol {
  /** @returns the job's id */
  open: () => Promise<string>;
  close: (job: string) => Promise<void>;
  stamp: (job: string, now: number) => Promise<void>;
  /** @returns the clock up to which the run covers, or null where none may begin */
  beginRun: (owner: string, now: number) => Promise<number | null>;
  endRun: (owner: string, clock: number, ok: boolean) => Promise<void>;
  /** Time goes by, and whoever held the lease has not renewed it. */
  expireLease: () => Promise<void>;
  pending: () => Promise<number>;
}

/** How long a run waits for quiet at most, in ticks. */
const LONGEST = 12;

export interface ProtocolRules {
  waitsForOpenJobs: boolean;
  leavesOpenJobsUncovered: boolean;
  coversOnlyWhatWasStampedBefore: boolean;
  coversOnlyIfItSucceeded: boolean;
}

/** The protocol in memory, in as few words as it takes. */
export function modelProtocol(rules: ProtocolRules): Protocol {
  const openJobs = new Set<string>();
  const uncovered = new Map<string, number>();
  let jobs = 0;
  let clock = 0;
  let since = 0;
  let lease: { owner: string; startedAt: number } | undefined;
  return {
    async open() {
      const job = `job-${jobs++}`;
      openJobs.add(job);
      return job;
    },
    close: async job => void openJobs.delete(job),
    async stamp(job, now) {
      if (uncovered.size === 0) since = now;
      uncovered.set(job, ++clock);
    },
    async beginRun(owner, now) {
      if (uncovered.size === 0 || lease) return null;
      const covers = clock;
      if (openJobs.size > 0 && rules.waitsForOpenJobs) {
        if (now < since + LONGEST) return null;
        const still = [...uncovered.keys()].filter(job => openJobs.has(job));
        clock += 1;
        if (rules.leavesOpenJobsUncovered) for (const job of still) uncovered.set(job, clock);
      }
      lease = { owner, startedAt: now };
      return covers;
    },
    async endRun(owner, covers, ok) {
      if (lease?.owner !== owner) return;
      if (ok || !rules.coversOnlyIfItSucceeded) {
        const upTo = rules.coversOnlyWhatWasStampedBefore ? covers : clock;
        for (const [job, at] of uncovered) if (at <= upTo) uncovered.delete(job);
        since = lease.startedAt;
      }
      lease = undefined;
    },
    async expireLease() {
      lease = undefined;
    },
    pending: async () => uncovered.size,
  };
}

/** The same, by the scripts that the service runs in Redis. */
export function redisProtocol({ redis, prefix, run, accept, store }: TestStore): Protocol {
  const tokens = new Map<string, Token[]>();
  return {
    async open() {
      const accepted = await accept(says('delete', `node-${tokens.size}`));
      tokens.set(accepted.jobId, accepted.tokens);
      return accepted.jobId;
    },
    close: async id => void (await store.move({ id }, ['queued'], 'done')),
    stamp: async (job, now) => void (await run('stamp', job, now)),
    async beginRun(owner, now) {
      const clock = await run('begin-run', owner, 600_000, 0, now, LONGEST);
      return clock === null ? null : Number(clock);
    },
    endRun: async (owner, clock, ok) => void (await run('end-run', owner, clock, ok ? '0' : '1', 0, '{}')),
    expireLease: async () => void (await redis.del(`${prefix}:trigger:lease`)),
    pending: () => redis.zcard(`${prefix}:trigger:uncovered`),
  };
}
