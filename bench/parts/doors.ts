import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { ChefServer } from '../../test/support/chef-server.ts';
import { freshDirectory, start } from '../../test/support/process.ts';
import type { RedisServer } from '../../test/support/redis.ts';
import type { SnsPublisher } from '../../test/support/sns-publisher.ts';
import { startMeasuredService } from './service.ts';

export type Scheme = 'HTTP' | 'HTTPS';

/** What takes SNS's notices in, in a process of its own. */
export interface Door {
  url: string;
  /** How many it keeps in Redis. */
  kept: (redis: Redis) => Promise<number>;
  stop: () => Promise<void>;
}

export interface DoorParts {
  redis: RedisServer;
  chef: ChefServer;
  publisher: SnsPublisher;
}

/** Where the service finds them. */
export function settingsOf({ redis, chef, publisher }: DoorParts): NodeJS.ProcessEnv {
  return {
    REDIS_URL: redis.url,
    CHEF_SERVER_URL: chef.url,
    CHEF_CLIENT_NAME: chef.adminName,
    CHEF_CLIENT_KEY: chef.adminKey,
    SNS_TOPIC_ARNS: publisher.topicArn,
    SNS_CERT_HOSTS: publisher.certHost,
    NODE_EXTRA_CA_CERTS: publisher.caFile,
  };
}

/** The service and the bare route, with the same certificate where it is HTTPS. */
export async function startServers(scheme: Scheme, parts: DoorParts): Promise<{ ours: Door; bare: Door }> {
  const tls = scheme === 'HTTPS' ? await tlsFiles(parts.publisher) : undefined;
  const ours = await openOurs(parts, tls);
  try {
    return { ours, bare: await openBare(parts, tls) };
  } catch (error) {
    await ours.stop();
    throw error;
  }
}

interface TlsFiles {
  cert: string;
  key: string;
}

async function tlsFiles(publisher: SnsPublisher): Promise<TlsFiles> {
  const { certificate, key } = await publisher.authority.issue();
  const directory = freshDirectory('tls');
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  writeFileSync(files.cert, certificate);
  writeFileSync(files.key, key, { mode: 0o600 });
  return files;
}

async function openOurs({ redis, chef, publisher }: DoorParts, tls: TlsFiles | undefined): Promise<Door> {
  const prefix = '{ours}';
  const service = await startMeasuredService({
    ROLES: 'api',
    ...settingsOf({ redis, chef, publisher }),
    REDIS_PREFIX: prefix,
    ...(tls && { TLS_CERT_FILE: tls.cert, TLS_KEY_FILE: tls.key }),
  });
  return {
    url: service.url,
    kept: connection => connection.zcard(`${prefix}:list:delete:queued`),
    stop: service.stop,
  };
}

async function openBare({ redis }: DoorParts, tls: TlsFiles | undefined): Promise<Door> {
  const prefix = '{bare}';
  const { output, stop } = await start(process.execPath, {
    args: [
      new URL('bare-door.ts', import.meta.url).pathname,
      ...['--redis', redis.url, '--prefix', prefix],
      ...(tls ? ['--cert', tls.cert, '--key', tls.key] : []),
    ],
    ready: /listening on port \d+/,
  });
  const port = /listening on port (\d+)/.exec(output())?.[1];
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    kept: connection => connection.llen(`${prefix}:notices:wait`),
    stop,
  };
}
