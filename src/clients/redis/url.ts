import { AppError } from '../../domain/errors.ts';

export interface RedisAddress {
  host: string;
  port: number;
}

interface RedisAccess {
  tls: boolean;
  username?: string;
  password?: string;
}

/** Where Redis is, and how it keeps itself available. */
export type RedisTarget = RedisAccess &
  (
    | { kind: 'single'; address: RedisAddress; db: number }
    | {
        kind: 'sentinel';
        sentinels: RedisAddress[];
        /** Name under which the Sentinels watch the master. */
        master: string;
        db: number;
        /** Where the Sentinels themselves ask for one. */
        sentinelPassword?: string;
      }
    | { kind: 'cluster'; nodes: RedisAddress[] }
  );

const FORM =
  /^(redis|valkey)(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^/?#]*)@)?([^@/?#]+)(?:\/([^@?#]*))?(?:\?([^#]*))?$/i;
const BEFORE_AT = /^(?:redis|valkey)s?(?:\+\w+)?:\/\/(.*)@/is;
/** RFC 3986 lets none of these stand as it is in a user, a password or a parameter. */
const RESERVED = ['/', '?', '#'];
const ADDRESS = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/;
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/**
 * Reads a Redis URL. Single: https://www.iana.org/assignments/uri-schemes/prov/redis; for Sentinel and Cluster there is
 * no registered form. Reserved characters in names and passwords are percent-encoded.
 *
 *     redis://[[user]:password@]host[:port][/db]
 *     redis+sentinel://[[user]:password@]host[:port],…/MASTER[/db][?sentinel-password=…]
 *     redis+cluster://[[user]:password@]host[:port],…
 *
 * `rediss` in place of `redis` is TLS, to the Sentinels too. `valkey` and `valkeys` mean the same as `redis` and `rediss`.
 * @throws AppError `invalid`; its message tells nothing of the password
 */
export function parseRedisUrl(text: string): RedisTarget {
  try {
    return read(text);
  } catch (error) {
    throw unencoded(text) ?? error;
  }
}

function read(text: string): RedisTarget {
  const [, scheme, tls, mode, userinfo, hosts = '', path = '', query] = FORM.exec(text) ?? [];
  if (!scheme) {
    throw invalid(
      'must be redis://HOST:PORT/DB, redis+sentinel://HOST:PORT,…/MASTER/DB or redis+cluster://HOST:PORT,…, or the same with rediss, valkey or valkeys',
    );
  }
  const kind = mode?.toLowerCase();
  const access: RedisAccess = { tls: Boolean(tls), ...credentials(userinfo) };
  const sentinelPassword =
    kind === 'sentinel' ? /^sentinel-password=([^&]*)$/.exec(query ?? '')?.[1] : undefined;
  if (query && sentinelPassword === undefined) throw invalid('has parameters after ? that are not known');

  if (kind === 'cluster') {
    if (path) throw invalid('a cluster has no databases: leave out the path');
    return { kind, ...access, nodes: addresses(hosts, REDIS_PORT) };
  }
  if (kind === 'sentinel') {
    const [master = '', db = '', ...rest] = path.split('/');
    if (!master || rest.length > 0) throw invalid('needs the master’s name after the Sentinels: …/MASTER');
    return {
      kind,
      ...access,
      sentinels: addresses(hosts, SENTINEL_PORT),
      master: decode(master),
      db: database(db),
      ...(sentinelPassword !== undefined && { sentinelPassword: decode(sentinelPassword) }),
    };
  }
  const [address, ...others] = addresses(hosts, REDIS_PORT);
  if (!address || others.length > 0)
    throw invalid('several hosts need redis+sentinel:// or redis+cluster://');
  return { kind: 'single', ...access, address, db: database(path) };
}

/** @returns the fault if a character stands where it must be percent-encoded, most likely in the password */
function unencoded(text: string): AppError | undefined {
  const before = BEFORE_AT.exec(text)?.[1] ?? '';
  const found = RESERVED.filter(each => before.includes(each) || (each === '#' && text.includes(each)));
  if (found.length === 0) return undefined;
  const codes = found.map(each => `${each} as ${encodeURIComponent(each)}`).join(', ');
  return invalid(`has characters that must be percent-encoded in user and password: write ${codes}`);
}

function credentials(userinfo: string | undefined): Pick<RedisAccess, 'username' | 'password'> {
  if (!userinfo) return {};
  const colon = userinfo.indexOf(':');
  const username = decode(colon < 0 ? userinfo : userinfo.slice(0, colon));
  const password = colon < 0 ? '' : decode(userinfo.slice(colon + 1));
  if (username && !password) throw invalid('has a user and no password');
  return { ...(username && { username }), ...(password && { password }) };
}

function addresses(hosts: string, defaultPort: number): RedisAddress[] {
  // The wrong part is not shown: in a URL that is not encoded it may be part of the password.
  return hosts.split(',').map(text => {
    const [, ipv6, name, port = String(defaultPort)] = ADDRESS.exec(text) ?? [];
    const host = ipv6 ?? name;
    if (!host || Number(port) < 1 || Number(port) > 65_535)
      throw invalid('has a host that is not HOST or HOST:PORT');
    return { host, port: Number(port) };
  });
}

function database(text: string): number {
  if (!/^\d{0,5}$/.test(text)) throw invalid('the database must be a number');
  return Number(text);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('has a % that is not followed by two hexadecimal digits; write %25 for it');
  }
}

function invalid(message: string): AppError {
  return new AppError('invalid', message);
}
