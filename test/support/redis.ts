import type { ChildProcess } from 'node:child_process';
import { freePort, freshDirectory, type Running, start, unpacked } from './process.ts';
import { type RedisSecurity, serviceUser } from './redis-security.ts';

export interface RedisOptions {
  port?: number;
  /** Where the append-only file lives. @default a new empty directory */
  dir?: string;
  /** `yes` by default. Debian's own redis.conf says `no`. */
  appendonly?: 'yes' | 'no';
  /** `noeviction` by default: BullMQ needs it. */
  maxmemoryPolicy?: string;
  password?: string;
  /** Port of the master that it follows. */
  replicaOf?: number;
  /** Whether it can become a node of a cluster. */
  cluster?: boolean;
  secured?: RedisSecurity;
  /** Further arguments. */
  args?: string[];
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  /** The process that runs now; another one after a restart. */
  readonly child: ChildProcess;
  /** Ends it, also while paused. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and directory, after kill -9 where it still runs. */
  restart(): Promise<void>;
  /** Connections stay open and nothing answers (SIGSTOP). */
  pause(): void;
  resume(): void;
}

async function clusterArguments(secured: RedisSecurity | undefined): Promise<string[]> {
  const bus = String(await freePort());
  // Certificates name hosts, so nodes tell each other's name.
  const named = ['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname'];
  return [
    ...(secured ? ['--tls-cluster', 'yes', ...named] : []),
    ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000', '--cluster-port', bus],
  ];
}

/** A real redis-server on 127.0.0.1. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? freshDirectory('redis');
  const { password, secured } = options;
  const settings = secured ? [...secured.tls(port), ...secured.users] : [['port', String(port)]];
  const args = [
    ...settings.flatMap(([name, ...values]) => [`--${name}`, ...values]),
    ...['--bind', '127.0.0.1', '--dir', dir, '--save', ''],
    ...['--appendonly', options.appendonly ?? 'yes'],
    ...['--maxmemory-policy', options.maxmemoryPolicy ?? 'noeviction'],
    ...(password === undefined ? [] : ['--requirepass', password]),
    ...['--repl-diskless-sync-delay', '0'],
    ...(options.replicaOf === undefined ? [] : ['--replicaof', `127.0.0.1 ${options.replicaOf}`]),
    ...(options.cluster ? await clusterArguments(secured) : []),
    ...(options.args ?? []),
  ];
  const launch = () =>
    start(unpacked('usr/bin/redis-server'), { args, ready: /ready to accept connections/i });
  let running: Running = await launch();

  const stop = async (signal?: NodeJS.Signals) => {
    const ended = running.stop(signal);
    // A stopped process takes no signal but SIGKILL before it continues.
    running.child.kill('SIGCONT');
    await ended;
  };
  return {
    url: secured
      ? `rediss://${serviceUser(secured)}127.0.0.1:${port}`
      : `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    port,
    dir,
    get child() {
      return running.child;
    },
    stop,
    restart: async () => {
      await stop('SIGKILL');
      running = await launch();
    },
    pause: () => void running.child.kill('SIGSTOP'),
    resume: () => void running.child.kill('SIGCONT'),
  };
}
