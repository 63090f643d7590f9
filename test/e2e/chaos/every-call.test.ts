import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cell } from '../../support/chaos/cell.ts';
import {
  type Calls,
  COUNTED_HOSTS,
  cellsOf,
  countCalls,
  faultsFound,
  runMatrix,
} from '../../support/chaos/every-call.ts';
import { PLAN_NAMES } from '../../support/chaos/plans.ts';
import { startWorld, type World } from '../../support/world.ts';

let world: World;
let calls: Calls;

beforeAll(async () => {
  world = await startWorld({ hosts: COUNTED_HOSTS });
  calls = await countCalls(world, PLAN_NAMES);
}, 120_000);

afterAll(() => world?.stop());

test('the calls at which workers are stopped are all that a delete and an ensure make', () => {
  const beforeAndDuringDelete = {
    'GET /nodes/NAME': 6,
    'GET /clients/NAME/keys': 5,
    'GET /cmd.cgi': 2,
    'POST /cmd.cgi': 2,
    'GET /clients/NAME': 1,
    'GET /nodes/NAME/_acl': 1,
    'GET /clients/NAME/_acl': 1,
    'DELETE /clients/NAME': 1,
    'DELETE /nodes/NAME': 1,
    'GET /statusjson.cgi?query=downtimelist': 1,
  };
  expect(Object.fromEntries(PLAN_NAMES.map(plan => [plan, counted(calls[plan])]))).toEqual({
    delete: { 'POST /search/node': 1, ...beforeAndDuringDelete },
    'host-delete': beforeAndDuringDelete,
    ensure: {
      'GET /nodes/NAME': 2,
      'GET /clients/NAME/keys': 3,
      'POST /clients': 1,
      'POST /nodes': 1,
      'GET /clients/NAME': 1,
      'GET /nodes/NAME/_acl': 1,
      'GET /statusjson.cgi?query=downtimelist': 1,
      'POST /cmd.cgi': 3,
    },
  });
  const total = PLAN_NAMES.reduce((sum, plan) => sum + (calls[plan]?.length ?? 0), 0);
  expect(cellsOf(calls)).toHaveLength(4 * total);
});

test('a machine that registers under the old name while a worker is killed or paused at a change in Chef stays as it is', {
  timeout: 240_000,
}, async () => {
  const cells = cellsOf(calls).filter(isAtChange);
  expect(cells).toHaveLength(16);
  const reports = await runMatrix(world, cells, { atOnce: 6, pauseMs: 0 });
  expect(faultsFound(reports)).toEqual([]);
  expect(reports.filter(({ call }) => call === undefined)).toEqual([]);
});

/** The whole matrix is `npm run chaos -- --every-call`. */
function isAtChange({ plan, call }: Cell): boolean {
  if (plan === 'host-delete') return false;
  return /^(DELETE|POST) \/(nodes|clients)\b/.test(calls[plan]?.[call - 1] ?? '');
}

function counted(names: readonly string[] = []): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
