import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { howToSet, RedisFault, redisFault } from './fault.ts';
import { PROBE } from './rights.ts';

/** [major, minor]: tests ran with this one; BullMQ itself refuses what is older than 5.0. */
const MINIMUM = [6, 0] as const;
const RECOMMENDED = [6, 2] as const;
const NO_FILE = 'Redis has no append-only file: what it took since its last snapshot is lost when it crashes';

/**
 * Makes the cheap trial: it runs a script as the service does, and reads version and settings.
 * @returns the trial; it throws RedisFault, or the error of the connection
 */
export function redisTrial(redis: Redis, prefix: string, log: Logger): () => Promise<void> {
  const probe = `${prefix}:probe`;
  const warned = new Set<string>();

  /** Logs a warning once, and again only if it was put right in between. */
  function warn(wrong: boolean, what: string, toDo: string): void {
    if (wrong && !warned.has(what)) log.warn(`${what}; ${toDo}`);
    if (wrong) warned.add(what);
    else warned.delete(what);
  }

  function readVersion(info: string): void {
    const version = valueIn(info, 'redis_version');
    if (version === undefined) return;
    if (isOlder(version, MINIMUM)) throw new RedisFault('too-old', { what: `Redis ${version} is too old` });
    warn(
      isOlder(version, RECOMMENDED),
      `Redis ${version} is older than BullMQ is made for`,
      'use 6.2 or newer',
    );
  }

  async function readSettings(info: string): Promise<void> {
    const policy = valueIn(info, 'maxmemory_policy') ?? 'noeviction';
    const forgets = valueIn(info, 'aof_enabled') === '0';
    const hasConfig = forgets || policy !== 'noeviction' ? await knowsConfig(redis) : true;
    warn(forgets, NO_FILE, howToSet('appendonly', 'yes', hasConfig));
    if (policy === 'noeviction') return;
    throw new RedisFault('evicts', {
      what: `Redis has maxmemory-policy ${policy} and would drop jobs when its memory is short`,
      state: `refused: maxmemory-policy ${policy}`,
      toDo: howToSet('maxmemory-policy', 'noeviction', hasConfig),
    });
  }

  async function explainFull(cause: unknown, info: string): Promise<RedisFault> {
    const more = String(2 * Number(valueIn(info, 'maxmemory') ?? 0));
    const how = howToSet('maxmemory', more, await knowsConfig(redis));
    return new RedisFault('full', { cause, toDo: `give it more memory: ${how}` });
  }

  return async () => {
    const replies = (await redis.pipeline().eval(PROBE, 1, probe).info().exec()) ?? [];
    const [, [unasked, told] = []] = replies;
    const info = unasked ? '' : String(told);
    readVersion(info);
    for (const [error] of replies)
      if (error) throw redisFault(error)?.kind === 'full' ? await explainFull(error, info) : error;
    await readSettings(info);
  };
}

function valueIn(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1];
}

function isOlder(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map(Number);
  return ownMajor < major || (ownMajor === major && ownMinor < minor);
}

/** Whether this Redis has CONFIG, allowed to us or not; providers take it away. */
async function knowsConfig(redis: Redis): Promise<boolean> {
  return redis.config('GET', 'maxmemory-policy').then(
    () => true,
    (error: Error) => !/unknown command/i.test(error.message),
  );
}
