import { setTimeout as delay } from 'node:timers/promises';
import { type ServiceProcess, startServiceProcess } from '../service.ts';

/** Processes of the service that are killed and started again. */
export interface Fleet {
  /** Members that are up and run. */
  readonly up: number[];
  /** Those of them that work jobs. */
  readonly workers: number[];
  /** Kills one of those with -9 and starts it again after a while. @returns its roles */
  kill: (member: number, downMs: number) => string;
  /** Stops one of those in its tracks, and lets it go on after a while. @returns its roles */
  freeze: (member: number, forMs: number) => string;
  /** Resolves when all are up and run. */
  whole: () => Promise<void>;
  stop: () => Promise<void>;
}

export async function startFleet(env: NodeJS.ProcessEnv, members: NodeJS.ProcessEnv[]): Promise<Fleet> {
  const launch = (member: NodeJS.ProcessEnv) => startServiceProcess({ ...env, ...member });
  const running: (ServiceProcess | undefined)[] = await Promise.all(members.map(launch));
  const underWay = new Set<Promise<void>>();
  let failure: unknown;
  const later = (work: Promise<void>) => {
    const watched = work
      .catch(error => {
        failure = error;
      })
      .finally(() => underWay.delete(watched));
    underWay.add(watched);
  };
  /** Out of reach for everyone else until it runs again. */
  const take = (at: number, doing: (process: ServiceProcess) => Promise<ServiceProcess>) => {
    const process = running[at];
    if (!process) throw new Error(`member ${at} is not up`);
    running[at] = undefined;
    later(
      doing(process).then(again => {
        running[at] = again;
      }),
    );
    return String(members[at]?.['ROLES']);
  };
  const up = () => [...members.keys()].filter(at => running[at]);
  return {
    get up() {
      return up();
    },
    get workers() {
      return up().filter(at => members[at]?.['ROLES']?.includes('worker'));
    },
    kill: (at, downMs) =>
      take(at, async process => {
        await process.stop('SIGKILL');
        await delay(downMs);
        return launch(members[at] ?? {});
      }),
    freeze: (at, forMs) =>
      take(at, async process => {
        process.child.kill('SIGSTOP');
        await delay(forMs);
        process.child.kill('SIGCONT');
        return process;
      }),
    async whole() {
      while (underWay.size > 0) await Promise.all(underWay);
      if (failure) throw failure;
    },
    async stop() {
      await Promise.all(underWay);
      await Promise.all(running.map(process => process?.stop()));
    },
  };
}
