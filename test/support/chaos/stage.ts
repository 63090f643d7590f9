import { type ApiClient, apiClient } from '../api-client.ts';
import { registerNode } from '../chef-server.ts';
import { until } from '../process.ts';
import { type ServiceProcess, startServiceProcess, startTestService, testEnvironment } from '../service.ts';
import { instanceId } from '../termination.ts';
import type { World } from '../world.ts';
import { type OldHost, PLANS, type PlanName } from './plans.ts';
import { type Watch, watchWorker } from './watched-worker.ts';

/** Time for a worker whose job waits for the lock of another one (10 s) and for Nagios's status. */
export const PATIENCE_MS = 90_000;

const AT_REST = new Set<string>(['done', 'failed', 'held', 'discarded']);

/** The name of the host with this number; Nagios must know it. */
export function hostName(number: number): string {
  return `every-call-${number}`;
}

/** A service of its own, one worker of it, and a host that its plan is about. */
export interface Stage {
  world: World;
  host: OldHost;
  api: ApiClient;
  /** The process that works alone until `startSecondWorker`. */
  worker: ServiceProcess & { watch: Watch };
  /** Starts a worker in this process. */
  startSecondWorker: () => Promise<Watch>;
  /** Sends the plan's event. @returns the id of its job */
  send: () => Promise<string>;
  isAtRest: (jobId: string) => Promise<boolean>;
  /** Waits until every job is. */
  rested: () => Promise<void>;
  /** Key prefix of its jobs in Redis. */
  prefix: string;
  close: () => Promise<void>;
}

/** @param number that no other stage in this world has */
export async function openStage(world: World, plan: PlanName, number: number): Promise<Stage> {
  const env = testEnvironment({ ...world.env, LOG_LEVEL: 'info', NODE_COMPILE_CACHE: compileCache });
  const closing: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  const watch = async () => {
    const watched = await watchWorker(env);
    closing.push(watched.stop);
    return watched;
  };
  const serve = async (more: NodeJS.ProcessEnv) => {
    const service = await startTestService({ ...env, ...more, LOG_LEVEL: 'silent' });
    closing.push(() => service.close('end of the cell'));
    return service;
  };
  try {
    const { url } = await serve({ ROLES: 'api' });
    const api = apiClient(url);
    const watched = await watch();
    const process = await inTurn(() => startServiceProcess(watched.env));
    closing.push(process.stop);
    const host: OldHost = { name: hostName(number), instanceId: instanceId(2 * number), privateKey: '' };
    host.privateKey = (await registerNode(world.chef, host)).privateKey;
    const telling = { world, host, api, url };
    await PLANS[plan].before?.(telling);
    return {
      world,
      host,
      api,
      worker: { ...process, watch: watched },
      async startSecondWorker() {
        const second = await watch();
        await serve(second.env);
        return second;
      },
      send: () => PLANS[plan].send(telling),
      isAtRest: async jobId => AT_REST.has((await api.job(jobId)).state),
      async rested() {
        const all = async () => (await api.jobs()).every(({ state }) => AT_REST.has(state));
        await until('every job to be at rest', all, PATIENCE_MS);
      },
      prefix: String(env['REDIS_PREFIX']),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

let turn: Promise<unknown> = Promise.resolve();

/** Starting a process takes all of a core for a while: several at once would be late. */
function inTurn<T>(act: () => Promise<T>): Promise<T> {
  const mine = turn.then(act);
  turn = mine.catch(() => {});
  return mine;
}

/** All workers are the same program, and are started often. */
const compileCache = new URL('../../../.parts/compile-cache', import.meta.url).pathname;
