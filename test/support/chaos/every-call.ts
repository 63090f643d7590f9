import type { World } from '../world.ts';
import { type Cell, type CellReport, callsOf, FAULTS, MOMENTS, runCell } from './cell.ts';
import { PLAN_NAMES, type PlanName } from './plans.ts';
import { hostName } from './stage.ts';

/** The calls of each plan's worker when nothing goes wrong, in their order. */
export type Calls = Partial<Record<PlanName, string[]>>;

export interface MatrixOptions {
  /** Cells that run at once. */
  atOnce: number;
  /** How long a pause lasts at least, in milliseconds; until another worker has the job in any case. */
  pauseMs: number;
  /** Called at the end of each cell. */
  tell?: (report: CellReport) => void;
}

/** Counts the calls of plans. Nagios must know the first three hosts. */
export async function countCalls(world: World, plans: readonly PlanName[]): Promise<Calls> {
  const calls: Calls = {};
  for (const plan of plans) calls[plan] = await callsOf(world, plan, PLAN_NAMES.indexOf(plan));
  return calls;
}

/** Hosts that Nagios must know for `countCalls`. */
export const COUNTED_HOSTS = PLAN_NAMES.map((_, number) => hostName(number));

/** Every fault before and after each of the calls. */
export function cellsOf(calls: Calls): Cell[] {
  return PLAN_NAMES.flatMap(plan =>
    (calls[plan] ?? []).flatMap((_, at) =>
      FAULTS.flatMap(fault => MOMENTS.map(moment => ({ plan, call: at + 1, fault, moment }))),
    ),
  );
}

/** `delete:7:pause:after` */
export function cellName({ plan, call, fault, moment }: Cell): string {
  return [plan, call, fault, moment].join(':');
}

/** @throws Error if it is not the name of a cell */
export function parseCell(text: string): Cell {
  const [plan, call, fault, moment] = text.split(':');
  const cell = { plan, call: Number(call), fault, moment } as Cell;
  const known =
    PLAN_NAMES.includes(cell.plan) && FAULTS.includes(cell.fault) && MOMENTS.includes(cell.moment);
  if (known && Number.isInteger(cell.call) && cell.call > 0) return cell;
  throw new Error(`${text} is not a cell: give PLAN:CALL:FAULT:MOMENT, such as delete:7:pause:after`);
}

/** Runs cells side by side in one world. A cell that does not come to an end counts as untrue. */
export async function runMatrix(
  world: World,
  cells: readonly Cell[],
  { atOnce, pauseMs, tell = () => {} }: MatrixOptions,
): Promise<CellReport[]> {
  const first = COUNTED_HOSTS.length;
  await world.nagios.setHosts([...COUNTED_HOSTS, ...cells.map((_, at) => hostName(first + at))]);
  const reports: CellReport[] = [];
  const left = cells.entries();
  const lane = async () => {
    for (const [at, cell] of left) {
      const report = await runCell(world, cell, { number: first + at, pauseMs }).catch(
        (error: Error): CellReport => {
          const why = [error.message, error.cause].filter(Boolean).join(': ');
          return { cell, call: undefined, end: 'none', harm: [], untrue: [`the cell has no end: ${why}`] };
        },
      );
      reports.push(report);
      tell(report);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return reports;
}

/** In words, one line each; empty if all is well. */
export function faultsFound(reports: readonly CellReport[]): string[] {
  return reports
    .filter(({ harm, untrue }) => harm.length + untrue.length > 0)
    .map(({ cell, call, end, harm, untrue }) => {
      return `${cellName(cell)} ${call ?? ''} (${end}): ${[...harm, ...untrue].join('; ')}`;
    });
}
