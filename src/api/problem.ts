import type { ErrorRequestHandler, RequestHandler } from 'express';
import { redisFault } from '../clients/redis/fault.ts';
import { AppError, describe, HTTP_STATUS } from '../domain/errors.ts';

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export const notFound: RequestHandler = request => {
  throw new AppError('not-found', `there is no ${request.method} ${request.path} here; see /openapi.yaml`);
};

/** Every error answer, as RFC 9457 problem details. */
export const problems: ErrorRequestHandler = (error: unknown, request, response, _next) => {
  const { status, detail, field } = explain(error);
  const retryAfter = retryAfterSeconds(error, status);
  if (response.headersSent) return void response.destroy();
  const log = status >= 500 ? 'error' : 'warn';
  request.log[log](
    { status, path: request.path, err: status >= 500 ? describe(error) : detail },
    'request refused',
  );
  if (status === 401) response.set('WWW-Authenticate', 'Bearer');
  if (retryAfter !== undefined) response.set('Retry-After', String(retryAfter));
  response
    .status(status)
    .type('application/problem+json')
    .json({
      type: 'about:blank',
      title: TITLES[status] ?? 'Error',
      status,
      detail,
      ...(field && { field }),
      requestId: request.id,
    });
};

/** An outage that names no time is worth another try in five seconds. */
function retryAfterSeconds(error: unknown, status: number): number | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const ms = error instanceof AppError ? error.retryAfterMs : undefined;
  return Math.ceil((ms ?? 5_000) / 1000);
}

function explain(error: unknown): { status: number; detail: string; field?: string | undefined } {
  if (isRefusal(error)) return explainRefusal(error);
  const fault = redisFault(error);
  // The sender learns what is wrong, but no internal names.
  if (fault)
    return { status: HTTP_STATUS[fault.code], detail: `${fault.what}, so nothing was taken; try again` };
  if (error instanceof AppError) {
    return { status: HTTP_STATUS[error.code], detail: error.message, field: error.field };
  }
  return { status: 500, detail: 'an internal error; the log has it under this requestId' };
}

/** An error of the body parser or of express-openapi-validator: both say what the client did wrong. */
interface Refusal {
  status: number;
  message: string;
  type?: string;
  errors?: { path: string; message: string }[];
}

function isRefusal(error: unknown): error is Refusal {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500;
}

function explainRefusal({ status, type, message, errors }: Refusal): ReturnType<typeof explain> {
  if (type === 'entity.parse.failed') return { status, detail: 'the body is not JSON', field: 'body' };
  if (type === 'entity.too.large') return { status, detail: 'the body is too large' };
  if (type === 'encoding.unsupported') return { status: 400, detail: 'send the body uncompressed' };
  if (status === 415) {
    return {
      status: 400,
      detail: 'send the body as JSON, with Content-Type: application/json',
      field: 'body',
    };
  }
  // The validator prefixes the path to what a security handler said.
  if (status === 401) return { status, detail: errors?.[0]?.message ?? message };
  const [first] = errors ?? [];
  const [, where, at] = /^\/?(body|query|params|headers)\/?(.*)$/.exec(first?.path ?? '') ?? [];
  const detail = errors?.map(each => `${each.path.replace(/^\//, '')} ${each.message}`).join('; ') || message;
  return { status, detail, field: at?.replaceAll('/', '.') || where };
}
