import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from '../../../src/domain/job.ts';
import { runLaterLooks } from '../later-looks.ts';
import { until } from '../process.ts';
import { instanceId } from '../termination.ts';
import type { World } from '../world.ts';
import type { PlanName } from './plans.ts';
import { changesOf, downtimesOf, type Replacement, registerReplacement } from './replacement.ts';
import { openStage, PATIENCE_MS, type Stage } from './stage.ts';
import { falsehoods } from './truth.ts';
import { callName, isChange, type Moment } from './watched-worker.ts';

export const FAULTS = ['kill', 'pause'] as const;
export const MOMENTS: readonly Moment[] = ['before', 'after'];

/** One fault at one call of one plan. */
export interface Cell {
  plan: PlanName;
  /** Index of the worker's call, from 1 on. */
  call: number;
  /** `kill`: kill -9. `pause`: SIGSTOP until another worker has the job, then SIGCONT. */
  fault: (typeof FAULTS)[number];
  /**
   * `before`: the call is broken off and does not reach the server. `after`: the server has answered; a killed worker
   * never reads the answer, a paused one finds it when it goes on.
   */
  moment: Moment;
}

export interface CellReport {
  cell: Cell;
  /** The call that was hit: `DELETE /nodes/NAME`; undefined if the job ended before it came to that many. */
  call: string | undefined;
  /** How the job ended: `held: other-instance`. */
  end: string;
  /** What the job did to the replacement. */
  harm: string[];
  /** What the job's record says that is not so. */
  untrue: string[];
}

export interface CellOptions {
  /** Number that no other cell in this world has. */
  number: number;
  /** How long a pause lasts at least, in milliseconds. */
  pauseMs: number;
}

/** For the downtime. */
const LOOK = 'GET /statusjson.cgi?query=downtimelist';

/**
 * The calls of a plan's worker when nothing goes wrong. Looking again for the downtime at the end, since Nagios shows it
 * only at its next status, counts once.
 */
export async function callsOf(world: World, plan: PlanName, number: number): Promise<string[]> {
  const stage = await openStage(world, plan, number);
  try {
    const { watch } = stage.worker;
    watch.listen();
    await stage.api.finished(await stage.send());
    const names = watch.calls.map(call => callName(call, stage.host.name));
    while (names.at(-1) === LOOK && names.at(-2) === LOOK) names.pop();
    return names;
  } finally {
    await stage.close();
  }
}

/** Runs a plan with one fault, during which a replacement registers under the host's name. */
export async function runCell(world: World, cell: Cell, options: CellOptions): Promise<CellReport> {
  const { number, pauseMs } = options;
  const stage = await openStage(world, cell.plan, number);
  try {
    const { worker, host } = stage;
    const struck = strike(stage, cell, instanceId(2 * number + 1));
    const jobId = await stage.send();
    await until(`call ${cell.call}`, async () => struck.replacement || stage.isAtRest(jobId), PATIENCE_MS);
    const { replacement, call } = struck;
    if (!replacement) return { cell, call, end: 'not reached', harm: [], untrue: [] };
    const second = await stage.startSecondWorker();
    if (cell.fault === 'pause') {
      await until('another worker to have the job', () => isTaken(stage, jobId, replacement), PATIENCE_MS);
      await delay(Math.max(0, replacement.registeredAt + pauseMs - Date.now()));
      await struck.goOn();
    }
    await stage.rested();
    await worker.stop();
    await stage.rested();
    await runLaterLooks(world.redis.url, stage.prefix);
    await stage.rested();
    const job = await stage.api.job(jobId);
    const calls = [...worker.watch.calls, ...second.calls];
    const later = calls.filter(each => isChange(each) && (each.answeredAt ?? 0) >= replacement.registeredAt);
    const harm = [
      ...(await changesOf(world, replacement)),
      ...later.map(each => `${callName(each, host.name)} was sent after it registered`),
      ...(await downtimesOf(world, host.name, jobId)),
    ];
    return { cell, call, end: endOf(job), harm, untrue: falsehoods(job, calls, replacement) };
  } finally {
    await stage.close();
  }
}

interface Struck {
  call: string | undefined;
  /** Undefined until the fault has happened and the replacement is registered. */
  replacement: Replacement | undefined;
  /** Continues a paused worker. */
  goOn: () => Promise<void>;
}

/** Stops the worker at the cell's call, and registers the replacement while it is stopped. */
function strike({ world, worker, host }: Stage, cell: Cell, newInstance: string): Struck {
  const { promise: resumed, resolve: resume } = Promise.withResolvers<void>();
  const struck: Struck = {
    call: undefined,
    replacement: undefined,
    async goOn() {
      resume();
      // The answer, or the end of the connection, is there when the process wakes.
      await delay(100);
      worker.child.kill('SIGCONT');
    },
  };
  worker.watch.listen(async (call, index, moment) => {
    if (index !== cell.call || moment !== cell.moment || struck.call) return;
    struck.call = callName(call, host.name);
    if (cell.fault === 'kill') await worker.stop('SIGKILL');
    else worker.child.kill('SIGSTOP');
    struck.replacement = await registerReplacement(world.chef, { name: host.name, instanceId: newInstance });
    if (cell.fault === 'pause') await resumed;
    if (cell.fault === 'kill' || cell.moment === 'before') throw new Error('the connection is broken');
  });
  return struck;
}

/** What is recorded after the first worker was stopped is another's. */
async function isTaken({ api, isAtRest }: Stage, jobId: string, { registeredAt }: Replacement) {
  const { steps } = await api.job(jobId);
  return steps.some(({ at }) => Date.parse(at) > registeredAt) || isAtRest(jobId);
}

function endOf({ state, result, reasons = [], error }: Job): string {
  const why = result ?? (reasons.map(({ code }) => code).join(', ') || error?.code);
  return why ? `${state}: ${why}` : state;
}
