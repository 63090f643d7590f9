import { serveParent, startChild } from './child.ts';
import type { Termination } from './terminations.ts';

/** The servers that terminations are cleared from. */
export interface Target {
  chef: { url: string; clientName: string; key: string };
  nagios?: { url: string; username?: string; password?: string } | undefined;
}

/** What has to be asked. */
interface Asking {
  /** How a termination is announced: an instance id takes a search, a host's signature the key of its client. */
  first: 'nothing' | 'search' | 'key';
  /** Whether downtimes are waited for. */
  proof: boolean;
}

export interface Cleared {
  /** Until node and client of the last termination were seen gone, in seconds. */
  seconds: number;
  /** Until the downtime of the last termination was seen; where no proof is asked for, until all was done. */
  provedSeconds: number;
  /** From the first call of each termination to the answer to the deletion of its node, in milliseconds. */
  goneMs: number[];
  calls: Calls;
}

/** Attempts at calls, made since the start. */
export interface Calls {
  chef: number;
  nagios: number;
}

/** Another way to do the same, in a process of its own. */
export interface Comparator {
  clear: (terminations: Termination[], atOnce: number, asking?: Asking) => Promise<Cleared>;
  stop: () => Promise<void>;
}

/** Clears terminations, so many at once. */
export type Clear = (terminations: Termination[], atOnce: number, asking: Asking) => Promise<Cleared>;

type Question = { target: Target } | { terminations: Termination[]; atOnce: number; asking: Asking };

export async function startComparator(module: string, target: Target): Promise<Comparator> {
  const child = await startChild(module);
  await child.ask({ target } satisfies Question);
  return {
    clear: (terminations, atOnce, asking = { first: 'nothing', proof: true }) =>
      child.ask<Cleared>({ terminations, atOnce, asking } satisfies Question),
    stop: child.stop,
  };
}

/** In its process. */
export function serveComparator(open: (target: Target) => Promise<Clear>): void {
  let clear: Promise<Clear> | undefined;
  serveParent<Question>(async question => {
    if ('target' in question) {
      clear = open(question.target);
      await clear;
      return undefined;
    }
    return (await clear)?.(question.terminations, question.atOnce, question.asking);
  });
}

/** Works through a list, so many at once. */
export async function each<T>(items: T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const hand = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, hand));
}
