import type { Redis } from 'ioredis';
import { AppError } from '../errors.ts';
import type { News } from '../event.ts';
import type { JobKind, JobState, StepName, StepRecord } from '../job.ts';
import { type Arrival, arrivalOf, fields } from './arrival.ts';
import { type JobFilter, lists, matches } from './job-filter.ts';
import { type Facts, type JobError, type JobRecord, toRecord } from './record.ts';
import type { RedisCheck } from './redis-check.ts';
import type { RunScript } from './scripts.ts';
import { together } from './together.ts';

/** The steps of a deletion that are done once more for a node that came back. */
const DONE_AGAIN: readonly StepName[] = [
  'find',
  'guard',
  'archive',
  'delete-client',
  'delete-node',
  'verify',
];

/** What is noted together with a new state. */
interface Change {
  attempts?: number;
  /** null removes it. */
  error?: JobError | null;
  finishedAt?: string;
  /** Who said that a held job shall go on all the same. */
  approvedBy?: string;
  approvedFor?: string[];
  /** A person decided that nothing shall be done; news of the same death does not change that. */
  discarded?: boolean;
}

/** What became of a job that learnt what it is about. */
export interface Claimed {
  /** Whether it may go on; else it waits for its turn. */
  goesOn: boolean;
  tokens: Token[];
  /** Another worker has it by now. */
  lost?: true;
}

/** `ID.RUN`: what BullMQ is handed. */
export type Token = string;

type Accepted = [jobId: string, outcome: 'accepted' | 'duplicate' | 'mismatch', ...tokens: Token[]];

/** Two share what a call costs; with more of them, Redis has nothing to do until the last of them is read. */
const ARRIVALS_AT_ONCE = 2;

/** The jobs in Redis: the one source of truth of what was asked, what was done and what is left. */
export class JobStore {
  readonly #redis: Redis;
  readonly #run: RunScript;
  readonly #prefix: string;
  readonly #check: RedisCheck | undefined;
  readonly #accept: (arrival: Arrival) => Promise<Accepted>;

  /** @param check asked before and after an event is taken in, where whoever sent it forgets it then */
  constructor(redis: Redis, run: RunScript, prefix: string, check?: RedisCheck) {
    this.#redis = redis;
    this.#run = run;
    this.#prefix = prefix;
    this.#check = check;
    this.#accept = together(async arrivals => {
      const told = arrivals.flatMap(({ head, record }) => [head, record.length, ...record]);
      return (await this.#run('accept', ...told)) as (Accepted | Error)[];
    }, ARRIVALS_AT_ONCE);
  }

  /**
   * Makes a job of an event, or finds the one that already has it.
   * @throws AppError `invalid` where a request's id was given to another request before; `unavailable` where Redis
   * would not keep it
   */
  async accept(
    news: News,
    kind: JobKind,
  ): Promise<{ jobId: string; outcome: 'accepted' | 'duplicate'; tokens: Token[] }> {
    await this.#check?.last();
    const [jobId, outcome, ...tokens] = await this.#accept(arrivalOf(news, kind));
    if (outcome === 'mismatch') {
      const field = 'Idempotency-Key';
      throw new AppError('invalid', `${field} was given to another request before; use a new one`, { field });
    }
    // The record of a job that is known already may be forgotten; its number never is.
    const written = outcome === 'accepted' ? `job:${jobId}` : 'seq';
    await this.#check?.replicated(`${this.#prefix}:${written}`);
    return { jobId, outcome, tokens };
  }

  async get(id: string): Promise<JobRecord | undefined> {
    return toRecord(id, await this.#redis.hgetall(`${this.#prefix}:job:${id}`));
  }

  /**
   * Newest first. The cost follows the limit, not the number of jobs: where a filter lets few of a node's jobs through,
   * a page has fewer than it may have, and only `next` tells whether it is the last.
   */
  async list(filter: JobFilter): Promise<{ jobs: JobRecord[]; next: string | null }> {
    const { limit, cursor = '+inf', kind = '', state = '', node = '', instanceId = '' } = filter;
    const wanted = [kind, state, node, instanceId];
    const reply = await this.#run('list', limit, cursor, SCAN, ...wanted, ...lists(filter));
    const [next, ...ids] = reply as [string, ...string[]];
    const jobs = (await this.#getAll(ids)).filter(job => job !== undefined && matches(job, filter));
    return { jobs: jobs as JobRecord[], next: next || null };
  }

  /**
   * Begins the job of a token that BullMQ handed out.
   * @param lock BullMQ's: its key below the prefix, and what this worker had put there
   * @returns undefined where nothing is to be done for it; `lost` where another has the lock by now
   */
  async begin(
    token: Token,
    worker: string,
    lock: { key: string; value: string },
  ): Promise<JobRecord | 'lost' | undefined> {
    const [id = '', run = ''] = token.split('.');
    const reply = (await this.#run('begin', id, run, worker, lock.key, lock.value)) as string[] | 0 | null;
    if (reply === 0) return 'lost';
    return reply === null ? undefined : toRecord(id, hashOf(reply));
  }

  /** Moves a job of this run and worker on; false where it is no longer with them or in none of the states. */
  async move(
    job: { id: string; run?: number; worker?: string },
    from: readonly JobState[],
    to: JobState,
    change: Change = {},
  ): Promise<{ moved: true; tokens: Token[] } | { moved: false; state: JobState | undefined }> {
    const patch = fields({
      attempts: change.attempts?.toString(),
      error: change.error === null ? '' : change.error && JSON.stringify(change.error),
      finishedAt: change.finishedAt,
      approvedBy: change.approvedBy,
      approvedFor: change.approvedFor && JSON.stringify(change.approvedFor),
      discarded: change.discarded ? '1' : undefined,
    });
    const reply = (await this.#run('move', job.id, holder(job), from.join(','), to, ...patch)) as [
      number,
      ...string[],
    ];
    const [moved, ...rest] = reply;
    if (moved === 1) return { moved: true, tokens: rest };
    return { moved: false, state: (rest[0] || undefined) as JobState | undefined };
  }

  /**
   * Opens a deletion again that was done, since its node is there again, with all its guards; `undone` where an `ensure`
   * has come after it.
   */
  async revive(
    job: JobRecord,
    facts: Facts = {},
  ): Promise<{ moved: true; tokens: Token[] } | { moved: false; state: JobState | 'undone' | undefined }> {
    const learnt = JSON.stringify({ ...job.facts, ...facts });
    const reply = await this.#run('revive', job.id, learnt, ...DONE_AGAIN.map(step => `step:${step}`));
    const [moved, ...rest] = reply as [number, ...string[]];
    if (moved === 1) return { moved: true, tokens: rest };
    return { moved: false, state: (rest[0] || undefined) as JobState | undefined };
  }

  /** Takes the line of the node that a job turned out to be about; where another is before it there, the job waits. */
  async claimNode(job: JobRecord, node: string): Promise<Claimed> {
    return this.#claim(job, [`n:${node}`, `node:${node}`, 'node', node]);
  }

  /** The same for an instance. */
  async claimInstance(job: JobRecord, instanceId: string): Promise<Claimed> {
    return this.#claim(job, [`i:${instanceId}`, `instance:${instanceId}`, 'instanceId', instanceId]);
  }

  async #claim(job: JobRecord, line: string[]): Promise<Claimed> {
    const reply = await this.#run('claim', job.id, holder(job), ...line);
    const [goesOn, ...tokens] = reply as [number, ...Token[]];
    return { goesOn: goesOn === 1, tokens, ...(goesOn === -1 && { lost: true }) };
  }

  /** The earlier jobs of the job's node that asked for a downtime, the newest first. */
  async downtimeJobs({ node, seq }: JobRecord): Promise<string[]> {
    if (node === null) return [];
    const { jobs } = await this.list({ node, limit: 50 });
    return jobs.filter(earlier => earlier.seq < seq && earlier.facts.downtime).map(({ id }) => id);
  }

  /**
   * @param facts what the step learnt
   * @returns false where another worker has the job by now
   */
  recordStep(job: JobRecord, step: StepRecord, facts?: Facts): Promise<boolean> {
    Object.assign(job.facts, facts);
    return this.#note(job, { [`step:${step.name}`]: step, ...(facts && { facts: job.facts }) });
  }

  /** @returns false where another worker has the job by now */
  remember(job: JobRecord, facts: Facts): Promise<boolean> {
    Object.assign(job.facts, facts);
    return this.#note(job, { facts: job.facts });
  }

  async #note(job: JobRecord, values: Record<string, unknown>): Promise<boolean> {
    const told = Object.entries(values).flatMap(([field, value]) => [field, JSON.stringify(value)]);
    return (await this.#run('note', job.id, holder(job), ...told)) === 1;
  }

  /** In the same order; undefined for a record that is gone. */
  async #getAll(ids: string[]): Promise<(JobRecord | undefined)[]> {
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.hgetall(`${this.#prefix}:job:${id}`);
    const replies = (await pipeline.exec()) ?? [];
    return replies.map(([error, hash], at) => {
      if (error) throw error;
      return toRecord(ids[at] ?? '', hash as Record<string, string>);
    });
  }
}

/** Of a script's field, value, … */
function hashOf(reply: string[]): Record<string, string> {
  const hash: Record<string, string> = {};
  for (let at = 0; at < reply.length; at += 2) hash[reply[at] ?? ''] = reply[at + 1] ?? '';
  return hash;
}

/** As the scripts know it. */
function holder({ run, worker }: { run?: number; worker?: string }): string {
  return worker === undefined ? String(run ?? '') : `${run}:${worker}`;
}

/** Records of a node or an instance that one page looks at. */
const SCAN = 2_000;
