import { median } from '../statistics.ts';
import type { Calls, Cleared } from './comparator.ts';
import type { CgiCalls, Ground } from './ground.ts';
import { newTerminations, type Termination } from './terminations.ts';

/** A way to clear terminations. */
export interface Contestant {
  clear: (terminations: Termination[]) => Promise<Cleared>;
  /** In one round. */
  terminations: number;
  /** Before the first round. */
  warmUp: number;
}

export interface Result {
  /** Terminations cleared a second, the median of the rounds. */
  perSecond: number;
  /** Calls for one termination, as the median of the rounds has them. */
  chefCalls: number;
  cgiCalls: CgiCalls;
  /** From when the last node was seen gone to when the last downtime was seen, in seconds. */
  proofSeconds: number;
}

interface Round extends Cleared {
  cgi: CgiCalls;
}

/** Lets contestants clear terminations of their own by turns, so that a slow minute of the machine hits all of them. */
export async function contest<Name extends string>(
  ground: Ground,
  contestants: Record<Name, Contestant>,
  rounds: number,
): Promise<Record<Name, Result>> {
  const names = Object.keys(contestants) as Name[];
  const run = async (name: Name, count: number): Promise<Round> => {
    const terminations = newTerminations(count);
    await ground.register(terminations);
    const cleared = await contestants[name].clear(terminations);
    return { ...cleared, cgi: await ground.check() };
  };
  const before = new Map<Name, Calls>();
  for (const name of names) before.set(name, (await run(name, contestants[name].warmUp)).calls);
  const done = new Map<Name, Round[]>(names.map(name => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of names) done.get(name)?.push(await run(name, contestants[name].terminations));
  }
  const entries = names.map(name => [
    name,
    result(done.get(name) ?? [], contestants[name].terminations, before.get(name)),
  ]);
  return Object.fromEntries(entries) as Record<Name, Result>;
}

function result(rounds: Round[], terminations: number, before: Calls | undefined): Result {
  const of = (value: (round: Round) => number) => median(rounds.map(value));
  const chef = (rounds.at(-1)?.calls.chef ?? 0) - (before?.chef ?? 0);
  return {
    perSecond: of(({ seconds }) => terminations / seconds),
    chefCalls: chef / (terminations * rounds.length),
    cgiCalls: {
      proofs: of(({ cgi }) => cgi.proofs / terminations),
      all: of(({ cgi }) => cgi.all / terminations),
    },
    proofSeconds: of(({ seconds, provedSeconds }) => provedSeconds - seconds),
  };
}
