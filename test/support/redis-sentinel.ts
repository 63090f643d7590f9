import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, freshDirectory, type Running, start, unpacked, until } from './process.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { type RedisSecurity, serviceUser } from './redis-security.ts';

export interface RedisSentinel {
  /** `redis+sentinel://…`: it leads to whichever is the master. */
  readonly url: string;
  readonly servers: RedisServer[];
  /** The server that the Sentinels agree on. */
  master: () => Promise<RedisServer>;
  /** The first Sentinel of the URL hangs (SIGSTOP). */
  pauseSentinel: () => void;
  stop: () => Promise<void>;
}

const MASTER = 'deregistration';

export interface RedisSentinelOptions {
  replicas?: number;
  secured?: RedisSecurity;
}

/** A master, its replicas, and three Sentinels that promote a replica within about two seconds. */
export async function startRedisSentinel({
  replicas = 1,
  secured,
}: RedisSentinelOptions = {}): Promise<RedisSentinel> {
  const security = secured && { secured };
  const first = await startRedis(security);
  const others = await Promise.all(
    Array.from({ length: replicas }, () => startRedis({ ...security, replicaOf: first.port })),
  );
  const servers = [first, ...others];
  const sentinels = await Promise.all(Array.from({ length: 3 }, () => startSentinel(first.port, secured)));
  const [asked] = sentinels;
  const access = secured && { ...secured.client, password: secured.sentinelPassword };
  const client = new Redis(asked?.port ?? 0, '127.0.0.1', access ?? {});
  client.on('error', () => {});
  await until('the Sentinels to know each other and every replica', async () => {
    const [state] = (await client.call('SENTINEL', 'masters')) as string[][];
    const value = (name: string) => state?.[state.indexOf(name) + 1];
    return value('num-other-sentinels') === '2' && value('num-slaves') === String(replicas);
  });
  const addresses = sentinels.map(({ port }) => `127.0.0.1:${port}`);
  return {
    url: secured
      ? `rediss+sentinel://${serviceUser(secured)}${addresses}/${MASTER}?sentinel-password=${encodeURIComponent(secured.sentinelPassword)}`
      : `redis+sentinel://${addresses}/${MASTER}`,
    servers,
    async master() {
      const [, port] = (await client.call('SENTINEL', 'get-master-addr-by-name', MASTER)) as string[];
      const server = servers.find(each => String(each.port) === port);
      if (!server) throw new Error(`no server of ours has port ${port}`);
      return server;
    },
    pauseSentinel: () => void asked?.running.child.kill('SIGSTOP'),
    async stop() {
      client.disconnect();
      asked?.running.child.kill('SIGCONT');
      await Promise.all(sentinels.map(({ running }) => running.stop()));
      await Promise.all(servers.map(server => server.stop()));
    },
  };
}

async function startSentinel(
  masterPort: number,
  secured: RedisSecurity | undefined,
): Promise<{ port: number; running: Running }> {
  const port = await freePort();
  const file = join(freshDirectory('sentinel'), 'sentinel.conf');
  const settings = [
    ...(secured?.tls(port).map(setting => setting.join(' ')) ?? [`port ${port}`]),
    'bind 127.0.0.1',
    `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} 2`,
    `sentinel down-after-milliseconds ${MASTER} 500`,
    `sentinel failover-timeout ${MASTER} 2000`,
    ...(secured
      ? [
          `sentinel auth-pass ${MASTER} ${secured.serverPassword}`,
          `requirepass "${secured.sentinelPassword}"`,
        ]
      : []),
  ];
  writeFileSync(file, `${settings.join('\n')}\n`);
  const running = await start(unpacked('usr/bin/redis-server'), {
    args: [file, '--sentinel'],
    ready: /\+monitor master/,
  });
  return { port, running };
}
