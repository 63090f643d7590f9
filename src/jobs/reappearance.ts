import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Raise } from '../alerts/alerts.ts';
import { alert } from '../domain/alert.ts';
import { describe } from '../domain/errors.ts';
import { OPEN_STATES } from '../domain/job.ts';
import type { Dispatcher } from './outbox.ts';
import type { JobRecord } from './record.ts';
import type { RunScript } from './scripts.ts';
import type { Sighting } from './steps/return.ts';
import type { JobStore } from './store.ts';

export interface ZombieDependencies {
  redis: Redis;
  run: RunScript;
  prefix: string;
  store: JobStore;
  dispatcher: Dispatcher;
  look: (job: JobRecord) => Promise<Sighting>;
  /** Of a new machine that has the name of the one that ended. */
  cancelDowntime: (job: JobRecord) => Promise<void>;
  raise: Raise;
  log: Logger;
}

const SET = 'zombies';
/** When to look again after a deletion: a chef-client run takes minutes, and one starts every half an hour. */
const DELAYS_MS = [5 * 60_000, 30 * 60_000];
const TICK_MS = 5_000;
/** A look that was begun and not finished is begun again this much later. */
const LEASE_MS = 60_000;
const AT_ONCE = 50;
/** A last chef-client run saves a node once, seldom twice; a node that comes back more often lives. */
const MOST_RETURNS = 3;

/**
 * Finds nodes that a last chef-client run saved again minutes after their deletion. The looks wait in a set of their own,
 * with no open job behind them, so that they hold up neither the node's line nor chef-client; a job is opened again only
 * where a look finds something.
 */
export class Zombies {
  readonly #dependencies: ZombieDependencies;
  readonly #key: string;
  #timer: NodeJS.Timeout | undefined;
  #current: Promise<void> | undefined;

  constructor(dependencies: ZombieDependencies) {
    this.#dependencies = dependencies;
    this.#key = `${dependencies.prefix}:${SET}`;
  }

  /** Notes that the job's node is to be looked for later; noting it again does no harm. */
  async expect(jobId: string): Promise<void> {
    const looks = DELAYS_MS.flatMap((delay, at) => [delay, `${jobId}.${at}`]);
    await this.#dependencies.run('schedule', SET, ...looks);
  }

  /** From now on this process looks. */
  start(): void {
    this.#timer = setInterval(() => {
      this.#current ??= this.#lookAround().finally(() => {
        this.#current = undefined;
      });
    }, TICK_MS);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#current;
  }

  async #lookAround(): Promise<void> {
    const { run, log } = this.#dependencies;
    try {
      const due = (await run('take-due', SET, LEASE_MS, AT_ONCE)) as string[];
      await Promise.all(due.map(member => this.#take(member)));
    } catch (error) {
      log.debug({ err: describe(error) }, 'returned nodes were not looked for; trying again');
    }
  }

  async #take(member: string): Promise<void> {
    const { store, redis, log } = this.#dependencies;
    const [id = ''] = member.split('.');
    try {
      const job = await store.get(id);
      if (!job || (await this.#settle(job))) await redis.zrem(this.#key, member);
    } catch (error) {
      log.warn({ job: id, err: describe(error) }, 'not known whether the node came back; looking again');
    }
  }

  /** @returns whether there is nothing more to look for this time */
  async #settle(job: JobRecord): Promise<boolean> {
    // A job that has still to verify schedules its own looks then.
    if (isOpen(job.state)) return !job.steps.some(({ name, state }) => name === 'verify' && state === 'done');
    if (job.state !== 'done') return true;
    const sighting = await this.#dependencies.look(job);
    if (sighting.kind === 'unsure') this.#tell(job, sighting.why);
    if (sighting.kind === 'another' && !isOver(job)) await this.#dependencies.cancelDowntime(job);
    if (sighting.kind !== 'returned') return true;
    const returns = (job.facts.returns ?? 0) + 1;
    if (returns > MOST_RETURNS) {
      this.#tell(
        job,
        `node ${job.node} came back ${returns} times after its deletion; it was left this time`,
      );
      return true;
    }
    const { store, dispatcher, log } = this.#dependencies;
    const revived = await store.revive(job, { returns });
    if (!revived.moved) return true;
    log.warn({ job: job.id, node: job.node }, 'the node came back after its deletion; it is removed again');
    dispatcher.dispatch(revived.tokens);
    return true;
  }

  #tell(job: JobRecord, what: string): void {
    this.#dependencies.raise(alert('node-came-back', what, { ...job, job: job.id }));
  }
}

/** Whether the downtime that the job set has ended by itself. */
function isOver({ facts }: JobRecord): boolean {
  return facts.downtime?.end !== undefined && Date.parse(facts.downtime.end) <= Date.now();
}

function isOpen(state: string): boolean {
  return (OPEN_STATES as readonly string[]).includes(state);
}
