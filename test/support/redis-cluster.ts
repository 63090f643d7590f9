import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { libraries, unpacked, until } from './process.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { type RedisSecurity, serviceUser } from './redis-security.ts';

export interface RedisCluster {
  /** `redis+cluster://…` of all nodes. */
  readonly url: string;
  readonly servers: RedisServer[];
  /** The node that now has the slot of a key. */
  masterOf: (key: string) => Promise<RedisServer>;
  stop: () => Promise<void>;
}

export interface RedisClusterOptions {
  replicas?: number;
  secured?: RedisSecurity;
}

/** Three masters, each with as many replicas, that fail over within about two seconds. */
export async function startRedisCluster({
  replicas = 0,
  secured,
}: RedisClusterOptions = {}): Promise<RedisCluster> {
  const servers = await Promise.all(
    Array.from({ length: 3 * (1 + replicas) }, () =>
      startRedis({ cluster: true, ...(secured && { secured }) }),
    ),
  );
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
  const create = [
    '--cluster',
    'create',
    ...addresses,
    '--cluster-replicas',
    String(replicas),
    '--cluster-yes',
    ...(secured ? ['--tls', '--cacert', secured.caFile] : []),
  ];
  const env = { LD_LIBRARY_PATH: libraries, ...(secured && { REDISCLI_AUTH: secured.serverPassword }) };
  await promisify(execFile)(unpacked('usr/bin/redis-cli'), create, { env });
  const ask = async <T>({ port }: RedisServer, question: (client: Redis) => Promise<T>) => {
    const options = { connectTimeout: 500, retryStrategy: () => null, ...secured?.client };
    const client = new Redis(port, 'localhost', options);
    client.on('error', () => {});
    return question(client).finally(() => client.disconnect());
  };
  await until('every node to see the cluster', async () => {
    const states = await Promise.all(
      servers.map(server => ask(server, async client => `${await client.cluster('INFO')}`)),
    );
    const slaves = await Promise.all(
      servers.map(server => ask(server, client => client.info('replication'))),
    );
    const linked = slaves.filter(info => /master_link_status:up/.test(info)).length;
    return states.every(state => state.includes('cluster_state:ok')) && linked === 3 * replicas;
  });
  return {
    url: secured
      ? `rediss+cluster://${serviceUser(secured)}${servers.map(({ port }) => `localhost:${port}`)}`
      : `redis+cluster://${addresses}`,
    servers,
    async masterOf(key) {
      for (const server of servers) {
        const moved = await ask(server, client =>
          client.exists(key).then(
            () => undefined,
            (error: Error) => error.message,
          ),
        );
        const port = moved === undefined ? String(server.port) : /^MOVED \d+ [\w.]+:(\d+)/.exec(moved)?.[1];
        const master = servers.find(each => String(each.port) === port);
        if (master) return master;
      }
      throw new Error(`no node has the slot of ${key}`);
    },
    async stop() {
      await Promise.all(servers.map(server => server.stop('SIGKILL')));
    },
  };
}
