import type { Measured, Section } from './measured.ts';
import { startBareLoop } from './parts/bare-loop.ts';
import { type Contestant, contest, type Result } from './parts/contest.ts';
import { startFleet } from './parts/fleet.ts';
import { type Ground, realGround, standInGround } from './parts/ground.ts';
import { type Keep, keeping } from './parts/keeping.ts';
import { startPredecessor } from './parts/predecessor.ts';
import type { Termination } from './parts/terminations.ts';

/** Jobs under way at once in one worker. */
const AT_ONCE = 64;
const LATENCY_MS = 20;
/** Of one round. */
const TERMINATIONS = { chef: 1_000, nagios: 150, standIn: 2_000 };
/** Where downtimes are proved, a round ends with a wait for Nagios's next status. */
const ROUNDS = { withNagios: 1, without: 2 };
const WARM_UP = { withNagios: 64, without: 200 };
/** Slow as it is, few terminations tell its rate. */
const PREDECESSOR = { terminations: 30, warmUp: 5 };

export const work: Section = {
  title: 'The work: terminations announced by name and instance id, until node and client are seen gone',
  async measure(tell) {
    const measured: Measured[] = [];
    for (const nagios of [false, true]) measured.push(...(await onRealServers(nagios, tell)));
    for (const nagios of [false, true]) measured.push(...(await onStandIns(nagios, tell)));
    return measured;
  },
};

async function onRealServers(nagios: boolean, tell: (line: string) => void): Promise<Measured[]> {
  const terminations = nagios ? TERMINATIONS.nagios : TERMINATIONS.chef;
  const { ours, bare, predecessor } = await keeping(async keep => {
    const ground = keep(await realGround({ nagios }));
    const loop = keep(await startBareLoop(ground.target));
    const warmUp = nagios ? WARM_UP.withNagios : WARM_UP.without;
    const bare = { clear: (batch: Termination[]) => loop.clear(batch, AT_ONCE), terminations, warmUp };
    const { ours, predecessor } = await rivals(ground, { terminations, warmUp }, keep);
    return contest(ground, { ours, bare, predecessor }, nagios ? ROUNDS.withNagios : ROUNDS.without);
  });
  // A call or two may have met a connection that the server just closed.
  if (Math.abs(ours.chefCalls - bare.chefCalls) > 0.05) {
    throw new Error(
      `the service makes ${ours.chefCalls} Chef calls a termination, the bare loop ${bare.chefCalls}`,
    );
  }
  const where = nagios ? 'Chef server and Nagios' : 'Chef server';
  tell(`${where}: ${rates({ ours, bare, predecessor })}`);
  const line = { ours: ours.perSecond, unit: 'terminations/s' };
  return [
    {
      ...line,
      what: `${where}, against the same calls in a bare loop, ${AT_ONCE} at once`,
      against: { what: 'bare loop', value: bare.perSecond },
      ratio: ours.perSecond / bare.perSecond,
      goal: { atLeast: 0.9 },
    },
    {
      ...line,
      what: `${where}, against the predecessor's way`,
      against: { what: 'one at a time, no proof', value: predecessor.perSecond },
      ratio: ours.perSecond / predecessor.perSecond,
    },
    ...(nagios
      ? cgiLines(ours)
      : [{ what: 'Chef calls for a termination', ours: ours.chefCalls, unit: 'calls' }]),
  ];
}

function cgiLines({ cgiCalls, proofSeconds }: Result): Measured[] {
  return [
    {
      what: 'Nagios CGI calls for the proof of a downtime',
      ours: cgiCalls.proofs,
      unit: 'calls',
      goal: { atMost: 1 },
    },
    { what: 'Nagios CGI calls for a termination in all', ours: cgiCalls.all, unit: 'calls' },
    { what: 'Last node gone until its downtime is proved', ours: proofSeconds, unit: 's' },
  ];
}

async function onStandIns(nagios: boolean, tell: (line: string) => void): Promise<Measured[]> {
  const { ours, predecessor } = await keeping(async keep => {
    const ground = keep(await standInGround({ latencyMs: LATENCY_MS, nagios }));
    const rounds = nagios ? ROUNDS.withNagios : ROUNDS.without;
    const load = {
      terminations: TERMINATIONS.standIn,
      warmUp: nagios ? WARM_UP.withNagios : WARM_UP.without,
    };
    return contest(ground, await rivals(ground, load, keep), rounds);
  });
  const where = `Stand-ins with ${LATENCY_MS} ms of latency, ${nagios ? 'Chef server and Nagios' : 'Chef server'}`;
  tell(`${where}: ${rates({ ours, predecessor })}`);
  return [
    {
      what: `${where}, against the predecessor's way`,
      ours: ours.perSecond,
      unit: 'terminations/s',
      against: { what: 'one at a time, no proof', value: predecessor.perSecond },
      ratio: ours.perSecond / predecessor.perSecond,
      goal: { atLeast: 20 },
    },
  ];
}

async function rivals(
  ground: Ground,
  load: Omit<Contestant, 'clear'>,
  keep: Keep,
): Promise<Record<'ours' | 'predecessor', Contestant>> {
  const fleet = keep(await startFleet(1, ground.env));
  const old = keep(await startPredecessor(ground.target));
  return {
    ours: { clear: fleet.clear, ...load },
    predecessor: { clear: batch => old.clear(batch, 1), ...PREDECESSOR },
  };
}

function rates(results: Record<string, Result>): string {
  return Object.entries(results)
    .map(([name, { perSecond }]) => `${name} ${perSecond.toFixed(1)}/s`)
    .join(', ');
}
