import { RedisFault } from '../../clients/redis/fault.ts';
import { AppError, type ErrorCode } from '../../domain/errors.ts';

/** Codes of Node, undici, TLS and the file system. */
const BY_CODE: [code: RegExp, reason: string][] = [
  [/^ECONNREFUSED$/, 'unreachable: connection refused'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'unreachable: host name not found'],
  [/^(ECONNRESET|EPIPE|ECONNABORTED|UND_ERR_SOCKET)$/, 'unreachable: connection closed'],
  [/^(ETIMEDOUT|UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT)$/, 'unreachable: no answer'],
  [/^(EHOSTUNREACH|ENETUNREACH)$/, 'unreachable: no route'],
  [/CERT|^ERR_(TLS|SSL)|SELF_SIGNED|UNABLE_TO_VERIFY/, 'unreachable: certificate not trusted'],
  [/^(ENOSPC|EDQUOT|EFBIG)$/, 'refused: no space left'],
  [/^(EACCES|EPERM|EROFS)$/, 'refused: not writable'],
];

const BY_ERROR: Partial<Record<ErrorCode, string>> = {
  credentials: 'refused: wrong credentials',
  permission: 'refused: missing permission',
  rejected: 'refused: it does not accept the request',
  'not-found': 'refused: not found',
};

/** What is wrong with a part, in words of a fixed list, which name no host, path or user: strangers read it. */
export function publicReason(error: unknown): string {
  if (error instanceof RedisFault) return error.state;
  const byError = error instanceof AppError ? BY_ERROR[error.code] : undefined;
  if (byError) return byError;
  for (const code of codesOf(error)) {
    const [, reason] = BY_CODE.find(([known]) => known.test(code)) ?? [];
    if (reason) return `${reason} (${code})`;
  }
  return 'unreachable: the log says why';
}

/** `ECONNREFUSED` and its like, of an error and its causes; a timeout of AbortSignal has a name only. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error && codes.length < 10; at = at.cause) {
    if ('code' in at && /^[A-Z_]+$/.test(String(at.code))) codes.push(String(at.code));
    if (at.name === 'TimeoutError') codes.push('ETIMEDOUT');
    if (at instanceof AggregateError) codes.push(...at.errors.slice(0, 1).flatMap(codesOf));
  }
  return codes;
}
