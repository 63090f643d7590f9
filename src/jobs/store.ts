import type { Redis } from 'ioredis';
import type { RedisCheck } from '../clients/redis/durability.ts';
import { AppError, type HoldCode, type Reason } from '../domain/errors.ts';
import type { InboundEvent } from '../domain/event.ts';
import type { Approval, JobKind, JobResult, JobState, Machine, StepRecord } from '../domain/job.ts';
import { batchCalls } from '../lib/batch-calls.ts';
import { repliesOf } from '../lib/replies.ts';
import { type JobFilter, lists, matches } from './job-filter.ts';
import { buildNewJob, fields, type NewJob } from './new-job.ts';
import { type Facts, type JobError, type JobRecord, toRecord } from './record.ts';
import type { RunScript } from './scripts.ts';

/** What is noted together with a new state. */
export interface Change {
  attempts?: number;
  /** null removes it. */
  error?: JobError | null;
  reasons?: readonly Reason[];
  machine?: Machine;
  result?: JobResult;
  finishedAt?: string;
  /** Who let a held job go on, and for what; null ends what was let pass. */
  approvedBy?: string;
  approvedFor?: readonly string[];
  approval?: Approval | null;
  /** Not if something was added to the job since it was read so. */
  heard?: number;
  /** Gives up the instance's identity: the job turned out not to be about that instance. */
  release?: boolean;
  /** Forgets which steps are done. */
  again?: boolean;
}

/** What became of a move. */
export type Moved =
  | { moved: true; tokens: Token[] }
  /** `heard`: something was added to the job meanwhile. */
  | { moved: false; state: JobState | undefined; heard?: true };

/** What was last said of a node and its instance; milliseconds since 1970, 0 if never. */
export interface LastSaid {
  ensured: number;
  /** The last `ensure` of a person. */
  restored: number;
  deleted: number;
  /** When a person asked for the node's deletion, and who. */
  asked: number;
  by: string;
}

/** BullMQ's lock of a job: its key below the prefix, and what the worker put there. */
export interface Lock {
  key: string;
  value: string;
}

/** What became of a job that learnt what it is about. */
export interface Claimed {
  /** Whether it may go on; else it waits for its turn. */
  goesOn: boolean;
  tokens: Token[];
  /** Another worker has it now. */
  lost?: true;
}

/** `ID.RUN`: what BullMQ is handed. */
export type Token = string;

/** A job that left the quarantine, which is bounded, for a newer one. */
export interface RemovedFromQuarantine {
  job: string;
  code: HoldCode;
  node?: string;
  instanceId?: string;
}

export interface Acceptance {
  jobId: string;
  outcome: 'accepted' | 'duplicate';
  tokens: Token[];
  removed: RemovedFromQuarantine[];
}

type AcceptReply = [
  jobId: string,
  outcome: Acceptance['outcome'] | 'mismatch',
  removed: string,
  ...tokens: Token[],
];

/** Batch size. Larger batches leave Redis idle while we parse replies. */
const ARRIVALS_AT_ONCE = 2;

/** The jobs in Redis: the one source of truth of what was asked, what was done and what is left. */
export class JobStore {
  readonly #redis: Redis;
  readonly #run: RunScript;
  readonly #prefix: string;
  readonly #check: RedisCheck | undefined;
  readonly #accept: (newJob: NewJob) => Promise<AcceptReply>;

  /** @param check asked before and after an event is taken in, when its sender would forget it */
  constructor(redis: Redis, run: RunScript, prefix: string, check?: RedisCheck) {
    this.#redis = redis;
    this.#run = run;
    this.#prefix = prefix;
    this.#check = check;
    this.#accept = batchCalls(async newJobs => {
      const told = newJobs.flatMap(({ head, record }) => [head, record.length, ...record]);
      return (await this.#run('accept', ...told)) as (AcceptReply | Error)[];
    }, ARRIVALS_AT_ONCE);
  }

  /**
   * Makes a job of an event, or finds the one that already has it.
   * @throws AppError `invalid` where a request's id was given to another request before; `unavailable` where Redis
   * would not keep it
   */
  async accept(inbound: InboundEvent, kind: JobKind): Promise<Acceptance> {
    await this.#check?.last();
    const [jobId, outcome, removed, ...tokens] = await this.#accept(buildNewJob(inbound, kind));
    if (outcome === 'mismatch') {
      const field = 'Idempotency-Key';
      throw new AppError('invalid', `${field} was given to another request before; use a new one`, { field });
    }
    // The record of a job that is known already may be forgotten; its number never is.
    const written = outcome === 'accepted' ? `job:${jobId}` : 'seq';
    await this.#check?.replicated(`${this.#prefix}:${written}`);
    return { jobId, outcome, tokens, removed: removed ? JSON.parse(removed) : [] };
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
   * @returns undefined if nothing is to be done for it; `lost` if another worker has the lock now
   */
  async begin(token: Token, worker: string, lock: Lock): Promise<JobRecord | 'lost' | undefined> {
    const [id = '', run = ''] = token.split('.');
    const reply = (await this.#run('begin', id, run, worker, lock.key, lock.value)) as string[] | 0 | null;
    if (reply === 0) return 'lost';
    return reply === null ? undefined : toRecord(id, hashOf(reply));
  }

  /** Moves a job of this run and worker to another state, if it is in one of those allowed. */
  async move(
    job: { id: string; run?: number; worker?: string },
    from: readonly JobState[],
    to: JobState,
    change: Change = {},
  ): Promise<Moved> {
    const patch = fields({
      attempts: change.attempts?.toString(),
      error: change.error === null ? '' : change.error && JSON.stringify(change.error),
      reasons: change.reasons && JSON.stringify(change.reasons),
      machine: change.machine && JSON.stringify(change.machine),
      result: change.result,
      finishedAt: change.finishedAt,
      approvedBy: change.approvedBy,
      approvedFor: change.approvedFor && JSON.stringify(change.approvedFor),
      approval: change.approval === null ? '' : change.approval && JSON.stringify(change.approval),
    });
    const how = change.release ? 'release' : change.again ? 'again' : '';
    const reply = await this.#run(
      'move',
      job.id,
      holder(job),
      from.join(','),
      to,
      change.heard ?? '',
      how,
      ...patch,
    );
    const [moved, ...rest] = reply as [number, ...string[]];
    if (moved === 1) return { moved: true, tokens: rest };
    return {
      moved: false,
      state: (rest[0] || undefined) as JobState | undefined,
      ...(rest[1] === 'heard' && { heard: true }),
    };
  }

  /**
   * Opens a deletion again that was done, since its node is there again, with all its guards; `undone` if an `ensure` was
   * said after it.
   */
  async revive(
    job: JobRecord,
    facts: Facts = {},
  ): Promise<{ moved: true; tokens: Token[] } | { moved: false; state: JobState | 'undone' | undefined }> {
    const reply = await this.#run('revive', job.id, JSON.stringify({ ...job.facts, ...facts }));
    const [moved, ...rest] = reply as [number, ...string[]];
    if (moved === 1) return { moved: true, tokens: rest };
    return { moved: false, state: (rest[0] || undefined) as JobState | undefined };
  }

  /**
   * Asked right before each change in Chef, which is noted for chef-client in the same step.
   * @returns `lost` if another worker has the job now; the last `ensure`, if that was said after the deletion
   */
  async mayChange(
    job: JobRecord,
    lock: Lock & { ms: number },
    overruledApproved: boolean,
  ): Promise<'allowed' | 'lost' | Pick<LastSaid, 'ensured' | 'restored'>> {
    const approved = overruledApproved ? 'overruled' : '';
    const reply = await this.#run(
      'change-chef',
      job.id,
      holder(job),
      lock.key,
      lock.value,
      lock.ms,
      approved,
    );
    if (reply === 1) return 'allowed';
    if (reply === 0) return 'lost';
    const [ensured, restored] = reply as [number, number];
    return { ensured, restored };
  }

  async lastSaid(node: string | null, instanceId: string | null): Promise<LastSaid> {
    const reply = (await this.#run('last-said', node ?? '', instanceId ?? '')) as string[];
    const [ensured, restored, deleted, asked, by = ''] = reply;
    return {
      ensured: Number(ensured),
      restored: Number(restored),
      deleted: Number(deleted),
      asked: Number(asked),
      by,
    };
  }

  /**
   * Removes the records of jobs that ended this long ago. Redis does nothing else for about a millisecond.
   * @returns whether there may be more
   */
  async forget(ageMs: number): Promise<boolean> {
    return (await this.#run('forget', ageMs, FORGOTTEN_AT_ONCE)) === FORGOTTEN_AT_ONCE;
  }

  /** Redis's clock, which all processes share. */
  async now(): Promise<Date> {
    const [seconds, micros] = (await this.#redis.time()) as unknown as [string | number, string | number];
    return new Date(Number(seconds) * 1000 + Math.floor(Number(micros) / 1000));
  }

  /** Queues the job behind earlier jobs for the node that it turned out to be about. */
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
   * @returns false if another worker has the job now
   */
  recordStep(job: JobRecord, step: StepRecord, facts?: Facts): Promise<boolean> {
    Object.assign(job.facts, facts);
    return this.#note(job, { [`step:${step.name}`]: step, ...(facts && { facts: job.facts }) });
  }

  /** @returns false if another worker has the job now */
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
    const hashes = (await repliesOf(pipeline)) as Record<string, string>[];
    return hashes.map((hash, at) => toRecord(ids[at] ?? '', hash));
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

const FORGOTTEN_AT_ONCE = 20;
/** Records of a node or an instance that one page looks at. */
const SCAN = 2_000;
