import {
  type Calls,
  COUNTED_HOSTS,
  cellName,
  cellsOf,
  countCalls,
  faultsFound,
  parseCell,
  runMatrix,
} from '../test/support/chaos/every-call.ts';
import { PLAN_NAMES, type PlanName } from '../test/support/chaos/plans.ts';
import { startWorld } from '../test/support/world.ts';

export interface EveryCallOptions {
  /** The plan that is tried. @default all */
  only: string | undefined;
  /** Names of the cells that are tried. @default all */
  cells: readonly string[];
  atOnce: number;
  pauseSeconds: number;
  tell: (what: string) => void;
}

/** Stops a worker before and after every call of its plans, while a replacement registers. @returns whether all went well */
export async function everyCall(options: EveryCallOptions): Promise<boolean> {
  const { only, atOnce, pauseSeconds, tell } = options;
  const chosen = options.cells.map(parseCell);
  const plans = PLAN_NAMES.filter(plan => only === undefined || plan === only);
  if (plans.length === 0) throw new Error(`--only takes ${PLAN_NAMES.join(', ')}`);
  if (!(atOnce >= 1 && pauseSeconds >= 0)) throw new Error('--at-once and --pause take numbers');
  const world = await startWorld({ hosts: COUNTED_HOSTS });
  try {
    const calls: Calls = chosen.length > 0 ? {} : await countCalls(world, plans);
    for (const [plan, names] of Object.entries(calls)) {
      tell(`${plan}: ${names.length} calls`);
      for (const [at, name] of names.entries()) tell(`  ${String(at + 1).padStart(2)}  ${name}`);
    }
    const cells = chosen.length > 0 ? chosen : cellsOf(calls);
    let ended = 0;
    const reports = await runMatrix(world, cells, {
      atOnce,
      pauseMs: pauseSeconds * 1_000,
      tell: report => {
        const { cell, call = '', end, harm, untrue } = report;
        const wrong = [...harm, ...untrue].map(each => `\n          ${each}`).join('');
        tell(`${++ended}/${cells.length}  ${cellName(cell)}  ${call}  ${end}${wrong}`);
      },
    });
    const tried = PLAN_NAMES.filter(plan => cells.some(cell => cell.plan === plan));
    console.log('');
    console.table(Object.fromEntries(tried.map(plan => [plan, rowOf(plan, calls, reports)])));
    const found = faultsFound(reports);
    for (const line of found) console.log(line);
    return found.length === 0;
  } finally {
    await world.stop();
  }
}

function rowOf(plan: PlanName, calls: Calls, reports: Awaited<ReturnType<typeof runMatrix>>): object {
  const own = reports.filter(({ cell }) => cell.plan === plan);
  return {
    calls: calls[plan]?.length ?? new Set(own.map(({ cell }) => cell.call)).size,
    cells: own.length,
    'call not reached': own.filter(({ end }) => end === 'not reached').length,
    'job untrue': own.filter(({ untrue }) => untrue.length > 0).length,
    'replacements harmed': own.filter(({ harm }) => harm.length > 0).length,
  };
}
