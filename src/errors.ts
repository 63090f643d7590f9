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
  /** The world does not look as the event says: a person must decide. */
  | 'contradiction'
  /** More deletions than the window allows: a person must decide. */
  | 'over-budget'
  /** Whether the instance ended could not be found out in time: a person must decide. */
  | 'unverified';

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
  contradiction: 500,
  'over-budget': 500,
  unverified: 500,
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
  contradiction: 'hold',
  'over-budget': 'hold',
  unverified: 'hold',
};

/** The one error of this program. Its message says what happened, to what, and where it helps what to do. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  /** The field of the caller's input that is at fault. */
  readonly field: string | undefined;
  /** How long the service asked us to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; field?: string | undefined; retryAfterMs?: number | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
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
