import { AppError, describe } from '../../domain/errors.ts';

/** Why Redis cannot be used. */
export type RedisFaultKind = keyof typeof FAULTS;

interface Fault {
  /** What is wrong. Strangers read it too, so it names no host, user or key. */
  what: string;
  /** The same for `GET /readyz`. */
  state: string;
  toDo: string;
  /** Errors of Redis or ioredis that mean this. */
  says?: RegExp;
  /** Only a person can change it, so a service that meets it at its start does not start. */
  lasting?: true;
}

const NEW_PASSWORD =
  'set the user and password in REDIS_URL right, percent-encoded; Sentinels have their own, sentinel-password';

const FAULTS = {
  permission: {
    what: 'Redis does not allow its user all that the service needs',
    state: 'refused: missing permission',
    toDo: 'run the command check: it names what is missing and the ACL line that grants it',
    says: /NOPERM|ACL failure in script|user executing the script can't/,
    lasting: true,
  },
  credentials: {
    what: 'Redis refuses our credentials',
    state: 'refused: wrong credentials',
    toDo: NEW_PASSWORD,
    says: /WRONGPASS|NOAUTH|invalid (username-)?password/,
  },
  full: {
    what: 'Redis is full',
    state: 'refused: full (OOM)',
    toDo: 'raise maxmemory',
    says: /\bOOM\b/,
  },
  replica: {
    what: 'Redis is a read-only replica',
    state: 'refused: read-only replica (READONLY)',
    toDo: 'name the primary in REDIS_URL (of managed Redis: its primary endpoint), or make this server the primary: redis-cli replicaof no one',
    says: /READONLY/,
  },
  unsaved: {
    what: 'Redis takes no writes, since it cannot save them to its disk',
    state: 'refused: it cannot save to its disk (MISCONF)',
    toDo: 'free space on its disk, or repair what the log of Redis names',
    says: /MISCONF/,
  },
  'few-replicas': {
    what: 'Redis takes no writes, since too few replicas are connected to it',
    state: 'refused: too few replicas (NOREPLICAS)',
    toDo: 'start its replicas, or lower min-replicas-to-write',
    says: /NOREPLICAS/,
  },
  connections: {
    what: 'Redis takes no more connections',
    state: 'refused: too many connections',
    toDo: 'raise maxclients of Redis, or stop clients that leave connections open',
    says: /max number of clients/,
  },
  'too-old': {
    what: 'Redis is too old',
    state: 'refused: too old',
    toDo: 'use Redis 6.2 or newer, or Valkey',
    lasting: true,
  },
  evicts: {
    what: 'Redis would drop jobs when its memory is short',
    state: 'refused: maxmemory-policy is not noeviction',
    toDo: 'set maxmemory-policy to noeviction',
    lasting: true,
  },
  loading: {
    what: 'Redis is loading its data',
    state: 'unreachable: loading its data',
    toDo: 'wait until it has finished',
    says: /LOADING/,
  },
  busy: {
    what: 'Redis is busy with a script',
    state: 'unreachable: busy',
    toDo: 'wait, or end the script: redis-cli script kill',
    says: /^BUSY/,
  },
  protected: {
    what: 'Redis takes connections from its own host only',
    state: 'refused: protected mode',
    toDo: 'give it a password, or users, and bind it to an address that this host reaches',
    says: /DENIED/,
  },
  plain: {
    what: 'Redis does not speak TLS at this port',
    state: 'unreachable: no TLS',
    toDo: 'write redis:// in place of rediss:// in REDIS_URL, or name the TLS port',
    says: /wrong version number|before secure TLS connection/i,
  },
  certificate: {
    what: 'Redis has a certificate that we do not trust',
    state: 'unreachable: certificate not trusted',
    toDo: 'name the host in REDIS_URL as its certificate does, and the certificate’s authority in NODE_EXTRA_CA_CERTS',
    says: /certificate/i,
  },
  silent: {
    what: 'Redis does not answer',
    state: 'unreachable: no answer',
    toDo: 'see whether it hangs, and whether a firewall or security group lets this host reach it',
    says: /Command timed out|Socket timeout|ETIMEDOUT|no answer/,
  },
  // Of a Cluster ioredis tells no more than this, whatever the reason.
  closed: {
    what: 'Redis cannot be reached',
    state: 'unreachable: no connection',
    toDo: 'is it up, REDIS_URL right, and with TLS the certificate for that host and its authority in NODE_EXTRA_CA_CERTS?',
    says: /^Connection is closed/,
  },
  away: {
    what: 'Redis cannot be reached',
    state: 'unreachable: no connection',
    toDo: 'is it up, and REDIS_URL right?',
    says: /max retries per request|E(CONN\w+|PIPE|HOSTUNREACH|NETUNREACH|AI_AGAIN)|ENOTFOUND|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|Cluster (redirections|isn't ready)|startup nodes|slots cache|sentinels are unreachable|writeable|aborted due to connection/i,
  },
  other: {
    what: 'Redis refuses what the service asks',
    state: 'refused: an error of Redis',
    toDo: 'see its error; is it Redis, and one that has Lua scripts?',
  },
} satisfies Record<string, Fault>;

const PROVIDER =
  'ElastiCache: its parameter group; Memorystore: its instance configuration; Azure: its advanced settings';

/**
 * How a setting of Redis is changed: at runtime, for good, and at providers, which have no CONFIG.
 * @param hasConfig whether this Redis has the command CONFIG
 */
export function howToSet(name: string, value: string, hasConfig: boolean): string {
  const managed = `set ${name} to ${value} at the provider of the managed Redis (${PROVIDER})`;
  if (!hasConfig) return managed;
  return `run redis-cli config set ${name} ${value} and write "${name} ${value}" in redis.conf, since config set lasts only until a restart; or ${managed}`;
}

/** A Redis that cannot be used as it is. Its message is for the operator; `what` and `state` are for everyone. */
export class RedisFault extends AppError {
  readonly kind: RedisFaultKind;
  readonly what: string;
  readonly state: string;
  readonly toDo: string;
  /** The service does not start with such a Redis. */
  readonly lasting: boolean;

  constructor(
    kind: RedisFaultKind,
    { cause, ...own }: Partial<Pick<Fault, 'what' | 'state' | 'toDo'>> & { cause?: unknown } = {},
  ) {
    const fault: Fault = { ...FAULTS[kind], ...own };
    super('unavailable', `${fault.what}: ${fault.toDo}`, { cause });
    this.kind = kind;
    this.what = fault.what;
    this.state = fault.state;
    this.toDo = fault.toDo;
    this.lasting = fault.lasting ?? false;
  }

  /** Whether no answer came, rather than one that refuses. */
  get unreachable(): boolean {
    return this.state.startsWith('unreachable');
  }
}

/** Reads an error of ioredis, or a reply of Redis, as a fault. @returns undefined if it is neither */
export function redisFault(error: unknown): RedisFault | undefined {
  if (error instanceof RedisFault) return error;
  if (!(error instanceof Error) || error instanceof AppError) return undefined;
  // The error of a Cluster says only that none of its nodes could be used; the reason is in the last one.
  const cause = 'lastNodeError' in error && error.lastNodeError ? error.lastNodeError : error;
  const text = describe(cause);
  for (const [kind, { says }] of Object.entries(FAULTS) as [RedisFaultKind, Fault][])
    if (says?.test(text)) return new RedisFault(kind, { cause });
  return undefined;
}
