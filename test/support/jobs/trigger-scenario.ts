import fc from 'fast-check';
import { expect } from 'vitest';
import type { Protocol } from './trigger-protocol.ts';

export interface ActorRules {
  stampsBeforeItDeletes: boolean;
  /** flock(1): a run that outlives its starter keeps other runs off the host. */
  orphanHoldsHost: boolean;
  /** timeout(1): no run, even one that outlives its starter, is longer than the lease. */
  limitEndsRuns: boolean;
  /** A process that was paused after it got the lease begins no run once another process may have the lease. */
  startsInTime: boolean;
}

/** A job under way: 0 stamp, 1 delete, 2 stamp, 3 end. */
interface Work {
  job: string;
  next: number;
}

interface Command {
  startedAt: number;
}

/** A process that runs chef-client: about to begin its command, or waiting for it. */
interface Runner {
  clock: number;
  command?: Command;
  /** It was paused before it could start its command. */
  late?: boolean;
}

const WORKERS = 3;
/** Two processes are on one host. */
const HOSTS = [0, 0, 1];

const ACTIONS = [
  'accept',
  'take',
  'work',
  'killWorker',
  'begin',
  'start',
  'finish',
  'killRunner',
  'leaveBehind',
  'endOrphan',
  'silence',
  'expireLease',
] as const;
const WEIGHTS: Record<(typeof ACTIONS)[number], number> = {
  accept: 4,
  take: 6,
  work: 24,
  killWorker: 1,
  begin: 8,
  start: 6,
  finish: 6,
  killRunner: 2,
  leaveBehind: 2,
  endOrphan: 1,
  silence: 3,
  expireLease: 2,
};

export const actions = fc.array(
  fc.tuple(
    fc.oneof(...ACTIONS.map(action => ({ weight: WEIGHTS[action], arbitrary: fc.constant(action) }))),
    fc.nat(5),
  ),
  { minLength: 10, maxLength: 80, size: 'max' },
);
export type Actions = [(typeof ACTIONS)[number], number][];

/** Processes that do, and die, in any order; a stalled job is taken again by another worker. */
class Scenario {
  readonly #protocol: Protocol;
  readonly #rules: ActorRules;
  #now = 0;
  readonly #jobs = new Set<string>();
  readonly #deleted = new Set<string>();
  readonly #workers: (Work | undefined)[] = Array(WORKERS).fill(undefined);
  readonly #runners: (Runner | undefined)[] = Array(HOSTS.length).fill(undefined);
  readonly #orphans: (Command | undefined)[] = Array(HOSTS.length).fill(undefined);
  /** Each process has a name of its own: another is started in the place of one that was killed. */
  readonly #names = HOSTS.map((_, at) => `runner-${at}`);
  #lastDeletion = -1;
  #lastGoodRun = -1;

  constructor(protocol: Protocol, rules: ActorRules) {
    this.#protocol = protocol;
    this.#rules = rules;
  }

  async act([action, a]: Actions[number]): Promise<void> {
    this.#now += 1;
    await this.#protocol.tick();
    await this[action](a);
    await this.#check();
  }

  async #check(): Promise<void> {
    if ((await this.#protocol.pending()) === 0 && this.#lastDeletion >= 0)
      expect(this.#lastGoodRun, 'begin of the last good run').toBeGreaterThan(this.#lastDeletion);
    const commands = [...this.#runners.map(runner => runner?.command), ...this.#orphans].filter(Boolean);
    expect(commands.length, 'runs at once').toBeLessThanOrEqual(1);
  }

  async accept(): Promise<void> {
    this.#jobs.add(await this.#protocol.open());
  }

  async take(a: number): Promise<void> {
    const at = a % WORKERS;
    const free = [...this.#jobs].filter(job => !this.#workers.some(work => work?.job === job));
    const job = free[a % Math.max(1, free.length)];
    if (this.#workers[at] || job === undefined) return;
    // A node that is gone already is nothing to stamp for; only the end of the job is left.
    this.#workers[at] = { job, next: this.#deleted.has(job) ? 3 : 0 };
  }

  async work(a: number): Promise<void> {
    const work = this.#workers[a % WORKERS];
    if (!work) return;
    const { job } = work;
    const step = work.next++;
    if (step === 0 && this.#rules.stampsBeforeItDeletes) await this.#protocol.stamp(job);
    if (step === 1) {
      this.#deleted.add(job);
      this.#lastDeletion = this.#now;
    }
    if (step === 2) await this.#protocol.stamp(job);
    if (step === 3) {
      await this.#protocol.close(job);
      this.#jobs.delete(job);
      this.#workers[a % WORKERS] = undefined;
    }
  }

  async killWorker(a: number): Promise<void> {
    this.#workers[a % WORKERS] = undefined;
  }

  async begin(a: number): Promise<void> {
    const at = a % HOSTS.length;
    if (this.#runners[at]) return;
    const clock = await this.#protocol.beginRun(this.#nameOf(at), HOSTS[at] ?? 0);
    if (clock !== null) this.#runners[at] = { clock };
  }

  async start(a: number): Promise<void> {
    const at = a % HOSTS.length;
    const runner = this.#runners[at];
    if (!runner || runner.command) return;
    if (runner.late && this.#rules.startsInTime) return this.#end(at, runner, 'failed');
    const neighbours = HOSTS.map((_, other) => other).filter(other => HOSTS[other] === HOSTS[at]);
    const busy = neighbours.some(
      other => this.#runners[other]?.command ?? (this.#rules.orphanHoldsHost && this.#orphans[other]),
    );
    if (busy) await this.#end(at, runner, 'goesOn');
    else runner.command = { startedAt: this.#now };
  }

  async finish(a: number): Promise<void> {
    const at = a % HOSTS.length;
    const runner = this.#runners[at];
    if (!runner?.command) return;
    const ok = a < HOSTS.length;
    if (ok) this.#lastGoodRun = Math.max(this.#lastGoodRun, runner.command.startedAt);
    await this.#end(at, runner, ok ? 'done' : 'failed');
  }

  async killRunner(a: number): Promise<void> {
    const at = a % HOSTS.length;
    if (this.#runners[at]?.command) this.#orphans[at] ??= this.#runners[at].command;
    this.#runners[at] = undefined;
    this.#names[at] += "'";
  }

  /** The service stops and its command ends, but what the command asked for goes on, and says so. */
  async leaveBehind(a: number): Promise<void> {
    const at = a % HOSTS.length;
    const runner = this.#runners[at];
    if (!runner?.command) return;
    this.#orphans[at] ??= runner.command;
    await this.#end(at, runner, 'goesOn');
  }

  async endOrphan(a: number): Promise<void> {
    this.#orphans[a % HOSTS.length] = undefined;
  }

  /** As long as this lasts only what has started is distinguished from what has not: both live. */
  async silence(): Promise<void> {
    this.#pause();
    await this.#protocol.silence();
  }

  async expireLease(): Promise<void> {
    this.#pause();
    for (const [at, runner] of this.#runners.entries()) {
      if (runner?.command && this.#rules.limitEndsRuns) await this.#end(at, runner, 'failed');
    }
    if (this.#rules.limitEndsRuns) this.#orphans.fill(undefined);
    await this.#protocol.expireLease();
  }

  #pause(): void {
    for (const runner of this.#runners) if (runner && !runner.command) runner.late = true;
  }

  #nameOf(at: number): string {
    return this.#names[at] ?? '';
  }

  /** Everyone lives and works, until nothing is left to do. */
  async drain(): Promise<void> {
    for (let round = 0; this.#jobs.size > 0 || (await this.#protocol.pending()) > 0; round++) {
      expect(round, 'rounds until all is quiet').toBeLessThan(200);
      for (const at of HOSTS.keys()) {
        for (const action of ['take', 'work', 'endOrphan', 'begin', 'start', 'finish'] as const)
          await this.act([action, at]);
      }
      if (!this.#runners.some(Boolean)) await this.act(['silence', 0]);
    }
  }

  async #end(at: number, { clock }: Runner, outcome: 'done' | 'failed' | 'goesOn'): Promise<void> {
    this.#runners[at] = undefined;
    await this.#protocol.endRun(this.#nameOf(at), clock, outcome);
  }
}

/**
 * Fails if two runs are under way at any moment, or if no run is wanted though the last good one began before the last
 * deletion.
 */
export async function play(actions: Actions, protocol: Protocol, rules: ActorRules): Promise<void> {
  const scenario = new Scenario(protocol, rules);
  for (const action of actions) await scenario.act(action);
  await scenario.drain();
}
