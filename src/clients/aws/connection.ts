import { AppError, describe } from '../../domain/errors.ts';
import { isRegion } from '../../domain/queue-url.ts';
import { proxyEnvironment } from '../http/proxy-environment.ts';
import type { ObserveCall } from '../http/request.ts';

/** What every client of AWS is given. What is left out is found as in every AWS SDK program. */
export interface AwsOptions {
  /** In place of AWS’s own. */
  endpoint?: string | undefined;
  region?: string | undefined;
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
  /** Called when a call is over, with all its attempts: its last status, or undefined if no answer came. */
  observe?: ObserveCall | undefined;
}

/** A call as an IAM policy names it. */
export interface AwsCall {
  /** IAM action: `sqs:ReceiveMessage`. */
  action: string;
  /** ARN, URL or name of what it is for. */
  resource: string;
  /** Ends the call early. */
  signal?: AbortSignal | undefined;
  /** Limit of the whole call with all its attempts, in milliseconds. @default 10 seconds */
  timeoutMs?: number;
}

/** A host that drops packets is given up after this long, so that the limit of a call leaves time for another attempt. */
const CONNECT_TIMEOUT_MS = 3_000;

/** Configuration of an SDK client. */
export function clientConfig({ endpoint, region, credentials, observe }: AwsOptions) {
  return {
    ...(endpoint && { endpoint }),
    ...(region && { region }),
    ...(credentials && { credentials }),
    maxAttempts: 3,
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, ...throughProxies() },
    ...(observe && { logger: observingLogger(observe) }),
  };
}

/** The SDK makes agents of its own, which know nothing of the proxies that Node's have. */
function throughProxies() {
  const proxyEnv = proxyEnvironment();
  return proxyEnv && { httpAgent: { proxyEnv }, httpsAgent: { proxyEnv } };
}

/** The SDK tells its logger of each call that is over, with the client's name and the answer's metadata. */
function observingLogger(observe: ObserveCall) {
  const tell = (entry: unknown) => {
    const { clientName, metadata } = entry as {
      clientName?: string;
      metadata?: { httpStatusCode?: number };
    };
    if (clientName) observe({ service: clientName.replace(/Client$/, ''), status: metadata?.httpStatusCode });
  };
  const nothing = () => {};
  return { trace: nothing, debug: nothing, warn: nothing, info: tell, error: tell };
}

/** More than AWS has: the names of regions may come from messages. */
const MOST_REGIONS = 64;

/** SDK clients of one service, one per region, made when first needed. */
export class ByRegion<C extends { destroy(): void }> {
  readonly #make: (region: string | undefined) => C;
  readonly #clients = new Map<string | undefined, C>();

  constructor(make: (region: string | undefined) => C) {
    this.#make = make;
  }

  /** @param region the configured one if it is undefined or does not have the form of a region's name */
  in(region: string | undefined): C {
    const key = region !== undefined && isRegion(region) ? region : undefined;
    const client = this.#clients.get(key) ?? this.#make(key);
    // The one that was used last comes last.
    this.#clients.delete(key);
    this.#clients.set(key, client);
    if (this.#clients.size > MOST_REGIONS) this.#forgetOldest();
    return client;
  }

  #forgetOldest(): void {
    for (const [region, client] of this.#clients) {
      this.#clients.delete(region);
      client.destroy();
      return;
    }
  }

  close(): void {
    for (const client of this.#clients.values()) client.destroy();
  }
}

/**
 * Makes a call, bounded in time.
 * @throws AppError `permission`, `credentials`, `not-found`, `conflict` (there already, but otherwise), `rejected`
 * or `unavailable`
 */
export async function callAws<T>(
  call: AwsCall,
  send: (options: { abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const { signal, timeoutMs = 10_000 } = call;
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    return await send({ abortSignal: signal ? AbortSignal.any([signal, limit]) : limit });
  } catch (error) {
    if (limit.aborted && !signal?.aborted) {
      throw new AppError(
        'unavailable',
        `${call.action} on ${call.resource}: no answer within ${timeoutMs} ms`,
        {
          cause: error,
        },
      );
    }
    throw toAppError(error, call);
  }
}

const PERMISSION = /AccessDenied|AuthorizationError|UnauthorizedOperation|NotAuthorized|AccessForbidden/;
const CREDENTIALS =
  /AuthFailure|CredentialsProviderError|TokenProviderError|InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidSignature|IncompleteSignature|ExpiredToken|RequestExpired|MissingAuthenticationToken|InvalidAccessKeyId|InvalidToken|OptInRequired|InvalidSecurity/;
const MISSING = /^(NotFound|ResourceNotFound|QueueDoesNotExist|NonExistentQueue)|NonExistentQueue$/;
const CONFLICT = /QueueNameExists|QueueAlreadyExists/;
const THROTTLED =
  /Throttl|RequestLimitExceeded|TooManyRequests|SlowDown|OverLimit|ResourceContention|QueueDeletedRecently/;

/** Codes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html and each service's own. */
function toAppError(error: unknown, { action, resource }: AwsCall): AppError {
  const code = error instanceof Error ? error.name : '';
  const status = statusOf(error);
  const said = describe(error);
  const failed = (kind: AppError['code'], message: string) => new AppError(kind, message, { cause: error });
  if (PERMISSION.test(code)) {
    return failed(
      'permission',
      `AWS does not allow ${action} on ${resource}: allow it in the IAM policy of this service`,
    );
  }
  if (CREDENTIALS.test(code))
    return failed('credentials', `AWS does not accept our credentials for ${action}`);
  if (/Region is missing/.test(said)) {
    return failed('credentials', `no AWS region for ${action} on ${resource}: set AWS_REGION`);
  }
  if (MISSING.test(code)) return failed('not-found', `${resource} does not exist (${action})`);
  if (CONFLICT.test(code)) return failed('conflict', `${action} on ${resource}: ${code}`);
  const refused = status !== undefined && status >= 400 && status < 500 && status !== 429;
  return refused && !THROTTLED.test(code)
    ? failed('rejected', `AWS refused ${action} on ${resource}: ${code}`)
    : failed('unavailable', `${action} on ${resource} failed`);
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  return (error.$metadata as { httpStatusCode?: number } | undefined)?.httpStatusCode;
}
