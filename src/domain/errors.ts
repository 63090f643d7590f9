/** What went wrong, as far as anyone reacts to it. */
export type ErrorCode =
  /** The request or message cannot be understood or accepted as it is. */
  | 'invalid'
  /** The caller gave no token, or a wrong one. */
  | 'unauthenticated'
  /** The message is not proved to come from where it says. */
  | 'untrusted'
  /** The caller asks more often than one may. */
  | 'too-many-requests'
  | 'not-found'
  /** The thing is in a state that does not allow what was asked. */
  | 'conflict'
  | 'too-large'
  /** A service cannot be reached, is overloaded, or failed by itself: trying later may help. */
  | 'unavailable'
  /** A service refuses who we say we are (wrong key, clock off): every call to it will fail alike. */
  | 'credentials'
  /** A service knows us and does not allow this call. */
  | 'permission'
  /** A service refused for a reason that trying again does not change. */
  | 'rejected'
  /** A service is too old, or set up without a part of it, for what is asked of it. */
  | 'unsupported'
  /** The node or client is never deleted, whatever anybody says. */
  | 'never-deleted'
  | HoldCode;

/** Why a job waits for a person; each can be approved by itself. */
export type HoldCode =
  /** The node's name matches PROTECTED_NODES. */
  | 'protected'
  /** The node is, or has become, another instance than the one that ended. */
  | 'other-instance'
  /** The client has other keys than the one that the job is about: another machine of this name. */
  | 'other-key'
  /** Several nodes say that they are this instance. */
  | 'several-nodes'
  /** The node does not say which instance it is. */
  | 'no-instance-id'
  /** There is a client without a node, and nothing says that it belongs to the instance that ended. */
  | 'client-alone'
  /** EC2, Auto Scaling or a later chef-client run shows that the machine lives. */
  | 'alive'
  /** Whether the instance ended could not be found out. */
  | 'unverified'
  /** An `ensure` was said after the deletion. */
  | 'overruled'
  /** More deletions than the window allows. */
  | 'over-budget'
  /** A downtime must be proved before the deletion, and this Nagios cannot show one. */
  | 'unproved-downtime'
  /** The host did not sign its message. */
  | 'unsigned'
  /** The signature of the host's message does not count. */
  | 'bad-signature'
  /** The message was published long before it arrived. */
  | 'stale'
  /** A person asked for the deletion that the host wants to undo. */
  | 'deletion-asked'
  /** No archive is of the instance that is to be restored. */
  | 'other-archive';

/** One reason for which a job is held. */
export interface Reason {
  code: HoldCode;
  message: string;
  /** Who shows it, if several can show the same. */
  by?: 'ec2' | 'chef-client' | 'person' | 'host';
}

/** The answer to a caller (RFC 9110 status). */
export const HTTP_STATUS: Record<ErrorCode, number> = {
  invalid: 400,
  unauthenticated: 401,
  untrusted: 403,
  'too-many-requests': 429,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  unavailable: 503,
  credentials: 500,
  permission: 500,
  rejected: 500,
  unsupported: 500,
  'never-deleted': 500,
  protected: 500,
  'other-instance': 500,
  'other-key': 500,
  'several-nodes': 500,
  'no-instance-id': 500,
  'client-alone': 500,
  alive: 500,
  unverified: 500,
  overruled: 500,
  'over-budget': 500,
  'unproved-downtime': 500,
  unsigned: 500,
  'bad-signature': 500,
  stale: 500,
  'deletion-asked': 500,
  'other-archive': 500,
};

/** What becomes of a job that met the error. */
export const JOB_FATE: Record<ErrorCode, 'retry' | 'fail' | 'hold'> = {
  invalid: 'fail',
  unauthenticated: 'fail',
  untrusted: 'fail',
  'too-many-requests': 'retry',
  'not-found': 'retry',
  conflict: 'retry',
  'too-large': 'fail',
  unavailable: 'retry',
  credentials: 'retry',
  permission: 'fail',
  rejected: 'fail',
  unsupported: 'fail',
  'never-deleted': 'fail',
  protected: 'hold',
  'other-instance': 'hold',
  'other-key': 'hold',
  'several-nodes': 'hold',
  'no-instance-id': 'hold',
  'client-alone': 'hold',
  alive: 'hold',
  unverified: 'hold',
  overruled: 'hold',
  'over-budget': 'hold',
  'unproved-downtime': 'hold',
  unsigned: 'hold',
  'bad-signature': 'hold',
  stale: 'hold',
  'deletion-asked': 'hold',
  'other-archive': 'hold',
};

/** The one error of this program. Its message says what happened, to what, and where it helps what to do. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  /** The field of the caller's input that is at fault. */
  readonly field: string | undefined;
  /** How long the service asked us to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** Everything that is known to hold the job. */
  readonly reasons: readonly Reason[] | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown;
      field?: string | undefined;
      retryAfterMs?: number | undefined;
      reasons?: readonly Reason[] | undefined;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
    this.reasons = options.reasons;
  }
}

/** The message of anything thrown, with its causes, on one line. */
export function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at !== undefined && at !== null && parts.length < 5; ) {
    const text = at instanceof Error ? at.message || at.name : String(at);
    if (text && !parts.includes(text)) parts.push(text);
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.join(': ').replace(/\s+/g, ' ');
}

/** Every fault in the settings, by name. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly faults: string[];
  constructor(faults: string[]) {
    super(
      `${faults.length} of the settings cannot be used:\n${faults.map(fault => `  ${fault}\n`).join('')}`,
    );
    this.faults = faults;
  }
}
