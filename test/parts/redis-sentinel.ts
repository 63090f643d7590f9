import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, freshDirectory, type Running, start, unpacked, until } from './process.ts';
import { type RedisServer, startRedis } from './redis.ts';

export interface RedisSentinel {
  /** `redis+sentinel://…`: it leads to whichever is the master. */
  readonly url: string;
  readonly servers: RedisServer[];
  /** The server that the Sentinels agree on. */
  master: () => Promise<RedisServer>;
  stop: () => Promise<void>;
}

const MASTER = 'deregistration';

/** A master, its replicas, and three Sentinels that promote a replica within about two seconds. */
export async function startRedisSentinel({ replicas = 1 } = {}): Promise<RedisSentinel> {
  const first = await startRedis();
  const others = await Promise.all(
    Array.from({ length: replicas }, () => startRedis({ replicaOf: first.port })),
  );
  const servers = [first, ...others];
  const sentinels = await Promise.all(Array.from({ length: 3 }, () => startSentinel(first.port)));
  const [asked] = sentinels;
  const client = new Redis(asked?.port ?? 0, '127.0.0.1');
  client.on('error', () => {});
  await until('the Sentinels to know each other and every replica', async () => {
    const [state] = (await client.call('SENTINEL', 'masters')) as string[][];
    const value = (name: string) => state?.[state.indexOf(name) + 1];
    return value('num-other-sentinels') === '2' && value('num-slaves') === String(replicas);
  });
  return {
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`)}/${MASTER}`,
    servers,
    async master() {
      const [, port] = (await client.call('SENTINEL', 'get-master-addr-by-name', MASTER)) as string[];
      const server = servers.find(each => String(each.port) === port);
      if (!server) throw new Error(`no server of ours has port ${port}`);
      return server;
    },
    async stop() {
      client.disconnect();
      await Promise.all(sentinels.map(({ running }) => running.stop()));
      await Promise.all(servers.map(server => server.stop()));
    },
  };
}

async function startSentinel(masterPort: number): Promise<{ port: number; running: Running }> {
  const port = await freePort();
  const file = join(freshDirectory('sentinel'), 'sentinel.conf');
  const settings = [
    `port ${port}`,
    'bind 127.0.0.1',
    `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} 2`,
    `sentinel down-after-milliseconds ${MASTER} 500`,
    `sentinel failover-timeout ${MASTER} 2000`,
  ];
  writeFileSync(file, `${settings.join('\n')}\n`);
  const running = await start(unpacked('usr/bin/redis-server'), {
    args: [file, '--sentinel'],
    ready: /\+monitor master/,
  });
  return { port, running };
}
