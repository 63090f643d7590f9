import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { RedisFault, redisFault } from './fault.ts';

export interface NeededRights {
  /** Of all keys and channels. */
  prefix: string;
  /** Name of the Redis user that we are. */
  user: string;
  /** Whether replicas are asked for, with ROLE and WAIT. */
  replicas: boolean;
}

/** Reads, writes and publishes as the scripts of the service do; leaves a key that expires. */
export const PROBE = `redis.call('SET', KEYS[1], '1', 'PX', 1000)
redis.call('PUBLISH', KEYS[1], redis.call('GET', KEYS[1]))`;

/** Rights for a single command; a user that lacks any other is given all that the service needs. */
const DANGEROUS = ['INFO', 'ROLE'];
/** A Sentinel that hangs is passed over after three seconds, and another may hang. */
const CONNECT_MS = 8_000;
const BLOCK_SECONDS = 0.01;

/**
 * Tries what the service and BullMQ need, on keys and channels below the prefix. The blocking pop and the subscription
 * have a connection of their own, so this costs more than a few commands.
 * @throws RedisFault `permission`, which names all that is missing and the ACL line that grants it; the error of a
 * connection that cannot be made
 */
export async function tryRights(redis: Redis, rights: NeededRights): Promise<void> {
  const missing = [...(await tryCommands(redis, rights)), ...(await tryOwnConnection(redis, rights))];
  if (missing.length > 0) throw lacking(missing, rights);
}

/** What a refusal says is missing: access to keys or channels below the prefix, or to a command (`INFO`). */
type Missing = 'keys' | 'channels' | Uppercase<string>;

type Command = [name: Uppercase<string>, ...args: (string | number)[]];

async function tryCommands(redis: Redis, { prefix, replicas }: NeededRights): Promise<Missing[]> {
  const key = `${prefix}:probe`;
  const absent = `${key}:absent`;
  const ofReplicas: Command[] = [['ROLE'], ['WAIT', 0, 1]];
  const commands: Command[] = [
    ['EVAL', PROBE, 1, key],
    ['EVALSHA', 'f'.repeat(40), 1, key],
    ['SCRIPT', 'EXISTS', 'f'.repeat(40)],
    ['SET', key, '1', 'PX', 1_000],
    ['GET', key],
    ['EXISTS', key],
    ['DEL', absent],
    ['PEXPIRE', absent, 1],
    ['HGET', absent, 'field'],
    ['HMGET', absent, 'field'],
    ['HGETALL', absent],
    ['ZADD', absent, 'XX', 0, 'member'],
    ['ZREM', absent, 'member'],
    ['ZCARD', absent],
    ['ZRANGE', absent, 0, 0],
    ['PUBLISH', key, ''],
    ['INFO'],
    ...(replicas ? ofReplicas : []),
  ];
  const replies = await redis.pipeline(commands.map(([name, ...args]) => ['call', name, ...args])).exec();
  return (replies ?? []).flatMap(([error], at) => whatIsMissing(error, commands[at]?.[0] ?? 'INFO'));
}

async function tryOwnConnection(redis: Redis, { prefix }: NeededRights): Promise<Missing[]> {
  const connection = redis.duplicate();
  try {
    connection.on('error', () => {});
    const signal = AbortSignal.timeout(CONNECT_MS);
    await once(connection, 'ready', { signal }).catch((error: Error) => {
      throw signal.aborted ? new RedisFault('silent', { cause: error }) : error;
    });
    const refusal = (attempt: Promise<unknown>) =>
      attempt.then(
        () => null,
        (error: Error) => error,
      );
    const popped = await refusal(connection.bzpopmin(`${prefix}:probe:absent`, BLOCK_SECONDS));
    const subscribed = await refusal(connection.subscribe(`${prefix}:probe`));
    return [...whatIsMissing(popped, 'BZPOPMIN'), ...whatIsMissing(subscribed, 'SUBSCRIBE')];
  } finally {
    connection.disconnect();
  }
}

function whatIsMissing(error: Error | null, command: Uppercase<string>): Missing[] {
  if (!error || redisFault(error)?.kind !== 'permission') return [];
  if (/channel/.test(error.message)) return ['channels'];
  if (/\bkeys?\b/.test(error.message)) return ['keys'];
  return [command];
}

function lacking(found: Missing[], { prefix, user, replicas }: NeededRights): RedisFault {
  const missing = [...new Set(found)];
  const commands = missing.filter(each => each === each.toUpperCase());
  const all = `+@all -@admin -@dangerous +info${replicas ? ' +role' : ''}`;
  const rules = [
    ...(missing.includes('keys') ? [`~${pattern(prefix)}`] : []),
    ...(missing.includes('channels') ? [`&${pattern(prefix)}`] : []),
    ...(commands.every(each => DANGEROUS.includes(each))
      ? commands.map(each => `+${each.toLowerCase()}`)
      : [all]),
  ];
  const list = missing.join(', ');
  return new RedisFault('permission', {
    state: `refused: missing permission for ${list}; the log has the ACL line that grants it`,
    toDo: `user ${user} lacks permission for ${list}; run in redis-cli: ACL SETUSER ${user} ${rules.join(' ')} (and ACL SAVE, or the same in redis.conf, since it lasts only until a restart); a provider of managed Redis has it in the access string of the user`,
  });
}

/** All names that begin with the prefix; a character that patterns give a meaning to is any character. */
function pattern(prefix: string): string {
  return `${prefix.replace(/[\\*?[\]\s]/g, '?')}*`;
}
