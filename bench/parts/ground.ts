import { keyPair, startChefServer } from '../../test/support/chef-server.ts';
import { startNagios } from '../../test/support/nagios.ts';
import { type RedisServer, startRedis } from '../../test/support/redis.ts';
import { startChefStandIn } from './chef-stand-in.ts';
import type { Target } from './comparator.ts';
import { startNagiosStandIn } from './nagios-stand-in.ts';
import { nodesLeft, registerHosts } from './registration.ts';
import type { Termination } from './terminations.ts';

/** The servers on which terminations are cleared. */
export interface Ground {
  target: Target;
  /** Settings that lead the service there. */
  env: NodeJS.ProcessEnv;
  pids: number[];
  /** Has Chef and Nagios know the hosts. */
  register: (terminations: Termination[]) => Promise<void>;
  /** What Nagios was asked since the last check. @throws where something of the last batch is left */
  check: () => Promise<CgiCalls>;
  stop: () => Promise<void>;
}

export interface CgiCalls {
  proofs: number;
  all: number;
}

/** As Nagios has it where nobody changed `status_update_interval`, in seconds. */
const STATUS_UPDATE_SECONDS = 10;

/** goiardi and, where it is wanted, Nagios with its CGIs. */
export async function realGround({ nagios: wanted }: { nagios: boolean }): Promise<Ground> {
  const [redis, chef, nagios] = await Promise.all([
    startRedis(),
    startChefServer(),
    wanted ? startNagios({ hosts: ['none'], statusUpdateSeconds: STATUS_UPDATE_SECONDS }) : undefined,
  ]);
  const { publicKey } = keyPair();
  let last: Termination[] = [];
  return {
    ...leading(redis, { chef: { url: chef.url, clientName: chef.adminName, key: chef.adminKey }, nagios }),
    pids: [],
    async register(terminations) {
      last = terminations;
      await nagios?.setHosts(terminations.map(({ node }) => ({ name: node, services: ['ssh'] })));
      await registerHosts(chef, terminations, publicKey);
    },
    async check() {
      const left = await nodesLeft(chef, last);
      if (left > 0) throw new Error(`${left} of ${last.length} nodes are left on the Chef server`);
      const asked = nagios?.requests.splice(0) ?? [];
      return { proofs: asked.filter(({ cgi }) => cgi === 'statusjson.cgi').length, all: asked.length };
    },
    async stop() {
      await Promise.all([redis.stop(), chef.stop(), nagios?.stop()]);
    },
  };
}

/** Cheap stand-ins, so that no server's own work is the limit. */
export async function standInGround({
  latencyMs,
  nagios: wanted,
}: {
  latencyMs: number;
  nagios: boolean;
}): Promise<Ground> {
  const [redis, chef, nagios] = await Promise.all([
    startRedis(),
    startChefStandIn(latencyMs),
    wanted ? startNagiosStandIn(latencyMs) : undefined,
  ]);
  const { privateKey: key } = keyPair();
  const parts = [chef, ...(nagios ? [nagios] : [])];
  return {
    ...leading(redis, { chef: { url: chef.url, clientName: 'bench', key }, nagios }),
    pids: [redis.child.pid ?? 0, ...parts.map(({ pid }) => pid)],
    async register(terminations) {
      await Promise.all(parts.map(part => part.register(terminations)));
    },
    async check() {
      const [chefReport, nagiosReport] = [await chef.report(), await nagios?.report()];
      const open = chefReport.open + (nagiosReport?.open ?? 0);
      if (open > 0) throw new Error(`${open} nodes, clients or downtimes are not as they must be`);
      const all = Object.values(nagiosReport?.calls ?? {}).reduce((sum, count) => sum + count, 0);
      return { proofs: nagiosReport?.calls['downtimelist'] ?? 0, all };
    },
    async stop() {
      await Promise.all([redis, ...parts].map(part => part.stop()));
    },
  };
}

function leading(
  redis: RedisServer,
  { chef, nagios }: { chef: Target['chef']; nagios: Target['nagios'] },
): Pick<Ground, 'target' | 'env'> {
  return {
    target: { chef, ...(nagios && { nagios: pickAccess(nagios) }) },
    env: {
      REDIS_URL: redis.url,
      CHEF_SERVER_URL: chef.url,
      CHEF_CLIENT_NAME: chef.clientName,
      CHEF_CLIENT_KEY: chef.key,
      ...(nagios && { NAGIOS_URL: nagios.url }),
      ...(nagios?.username && { NAGIOS_USERNAME: nagios.username, NAGIOS_PASSWORD: nagios.password }),
    },
  };
}

function pickAccess({
  url,
  username,
  password,
}: NonNullable<Target['nagios']>): NonNullable<Target['nagios']> {
  return { url, ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
}
