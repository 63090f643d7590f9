import { type HttpProxy, startHttpProxy } from '../http-proxy.ts';

/** A call to the Chef server or to Nagios; `status` once the server has answered. */
export type Call = HttpProxy['requests'][number];

export type Moment = 'before' | 'after';

/**
 * Called for each call before it is passed on, and again before its answer is. If it throws, the connection is broken.
 * @param index of the call, from 1 on
 */
type OnCall = (call: Call, index: number, moment: Moment) => void | Promise<void>;

/** How a process finds out whether it can reach the Chef server and Nagios, which has nothing to do with its jobs. */
const PROBE = /^\/environments\/_default$|[?&]query=programstatus\b/;

/** What a worker calls for its jobs, seen by a proxy in front of the Chef server and one in front of Nagios. */
export interface Watch {
  /** Environment of the worker. */
  env: NodeJS.ProcessEnv;
  /** Its calls to both servers since `listen`, in the order in which the proxies saw them. */
  readonly calls: readonly Call[];
  /** Counts calls from now on. */
  listen: (onCall?: OnCall) => void;
  stop: () => Promise<void>;
}

/** @param env of the service */
export async function watchWorker(env: NodeJS.ProcessEnv): Promise<Watch> {
  const cgis = new URL(env['NAGIOS_URL'] ?? '');
  const proxies = await Promise.all([
    startHttpProxy(env['CHEF_SERVER_URL'] ?? ''),
    startHttpProxy(cgis.origin),
  ]);
  const [chef, nagios] = proxies;
  let calls: Call[] = [];
  let onCall: OnCall = () => {};
  for (const proxy of proxies) {
    proxy.watch = call => {
      if (PROBE.test(call.path)) return undefined;
      const moment = call.status === undefined ? 'before' : 'after';
      if (moment === 'before') calls.push(call);
      return onCall(call, calls.indexOf(call) + 1, moment);
    };
  }
  return {
    env: { ...env, ROLES: 'worker', CHEF_SERVER_URL: chef.url, NAGIOS_URL: nagios.url + cgis.pathname },
    get calls() {
      return calls;
    },
    listen(listener = () => {}) {
      calls = [];
      onCall = listener;
    },
    stop: async () => void (await Promise.all(proxies.map(proxy => proxy.stop()))),
  };
}

/** Whether it changed something in Chef: a search is a POST that does not. */
export function isChange({ method, path, status = 0 }: Call): boolean {
  return /^\/(nodes|clients)/.test(path) && method !== 'GET' && status >= 200 && status < 300;
}

/** A call in words that are the same for every host: `DELETE /nodes/NAME`. */
export function callName({ method, path }: Call, host: string): string {
  const { pathname, searchParams } = new URL(path, 'http://server');
  const query = searchParams.get('query');
  const place = pathname.replace(/^\/cgi-bin\/nagios4/, '').replaceAll(host, 'NAME');
  return `${method} ${place}${query ? `?query=${query}` : ''}`;
}
