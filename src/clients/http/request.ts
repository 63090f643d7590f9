import { setTimeout as delay } from 'node:timers/promises';
import { type Dispatcher, errors } from 'undici';
import { AppError, describe } from '../../domain/errors.ts';
import { backoff } from '../../lib/backoff.ts';
import { createDispatcher, type DispatcherOptions } from './dispatcher.ts';
import { unusedProxy } from './proxy-environment.ts';
import { certificateFault } from './tls.ts';

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  url: URL;
  /** Made again for every attempt, since signatures carry the time. */
  headers?: () => Record<string, string> | Promise<Record<string, string>>;
  body?: string;
  /** Whether sending it twice does no harm; only then is it sent again after a failure. */
  repeatable: boolean;
  /**
   * Called at each attempt when a connection is free and the first byte is about to be written, with no await in between.
   * If it throws, nothing is sent, and the request rejects with the same error.
   */
  beforeSend?: (() => void) | undefined;
}

export interface HttpResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** Each attempt is bounded by `timeoutMs`, from connecting to the last byte. */
export interface HttpOptions extends DispatcherOptions {
  /** Name of the service for messages, as operators call it: `Chef server`, `Nagios`. */
  service: string;
  /** Attempts in all. */
  attempts: number;
  /** How to trust a certificate that is not. @default by NODE_EXTRA_CA_CERTS */
  trustAdvice?: string | undefined;
  observe?: ObserveCall | undefined;
}

/** Called after every attempt: the status of its answer, or undefined if none came. */
export type ObserveCall = (call: { service: string; status: number | undefined }) => void;

/** A wait that the service asks for is taken within a request up to this long; beyond it, it is the caller's to wait. */
const LONGEST_WAIT_MS = 5_000;
const TRUST_ADVICE = 'set NODE_EXTRA_CA_CERTS to a PEM file with it or its authority';
const WAITS = { firstMs: 200, longestMs: 2_000 };

/**
 * The one way out over HTTP: connections reused, every attempt bounded in time and size, few retries.
 * Answers come back whatever their status, but for 429 and 5xx, which end as `unavailable`, and those that are too large.
 */
export class HttpClient {
  readonly #options: HttpOptions;
  readonly #agent: Dispatcher;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#agent = createDispatcher(options);
  }

  /** @throws AppError `unavailable`, with the service's Retry-After where it gave one; `rejected` beyond `maxBytes` */
  async request(request: HttpRequest): Promise<HttpResponse> {
    for (let attempt = 1; ; attempt++) {
      const failure = await this.#once(request).catch((error: unknown) => {
        if (error instanceof NotSent) throw error.cause;
        this.#observe(undefined);
        return this.#unreachable(request, error);
      });
      if (!(failure instanceof AppError)) return failure;
      const wait = failure.retryAfterMs ?? backoff(attempt, WAITS);
      const final = failure.code !== 'unavailable' || !request.repeatable;
      if (final || attempt >= this.#options.attempts || wait > LONGEST_WAIT_MS) throw failure;
      await delay(wait);
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #once(request: HttpRequest): Promise<HttpResponse | AppError> {
    const { beforeSend } = request;
    const agent = beforeSend ? this.#agent.compose(checking(beforeSend)) : this.#agent;
    const response = await agent.request({
      origin: request.url.origin,
      path: request.url.pathname + request.url.search,
      method: request.method,
      headers: (await request.headers?.()) ?? {},
      body: request.body ?? null,
      signal: AbortSignal.timeout(this.#options.timeoutMs),
    });
    const text = await response.body.text();
    this.#observe(response.statusCode);
    if (response.statusCode === 429 || response.statusCode >= 500) {
      return this.#overloaded(request, response, text);
    }
    return { status: response.statusCode, headers: response.headers, text };
  }

  #observe(status: number | undefined): void {
    this.#options.observe?.({ service: this.#options.service, status });
  }

  #overloaded(request: HttpRequest, response: Dispatcher.ResponseData, text: string): AppError {
    const said = text.replace(/\s+/g, ' ').slice(0, 200);
    return new AppError(
      'unavailable',
      `${this.#name(request)} answered ${response.statusCode}${said ? `: ${said}` : ''}`,
      { retryAfterMs: retryAfter(response.headers['retry-after']) },
    );
  }

  #unreachable(request: HttpRequest, error: unknown): AppError {
    if (error instanceof errors.ResponseExceededMaxSizeError) {
      const limit = `${this.#name(request)} answered more than ${this.#options.maxBytes} bytes`;
      return new AppError('rejected', limit, { cause: error });
    }
    const why =
      error instanceof Error && error.name === 'TimeoutError'
        ? `no answer within ${this.#options.timeoutMs} ms`
        : (certificateFault(error, this.#options.trustAdvice ?? TRUST_ADVICE) ?? describe(error));
    return new AppError('unavailable', `${this.#name(request)}: ${why}${unusedProxy(request.url)}`, {
      cause: error,
    });
  }

  #name({ method, url }: HttpRequest): string {
    return `${this.#options.service} ${method} ${url.origin}${url.pathname}`;
  }
}

/** Its cause is what `beforeSend` threw. */
class NotSent extends Error {}

/** undici calls `onRequestStart` right before it writes a request: not while it waits for a connection. */
function checking(beforeSend: () => void): Dispatcher.DispatcherComposeInterceptor {
  return dispatch => (options, handler) =>
    dispatch(options, {
      onRequestStart(controller, context) {
        try {
          beforeSend();
        } catch (cause) {
          throw new NotSent('the request was not sent', { cause });
        }
        handler.onRequestStart?.(controller, context);
      },
      onResponseStart: (...given) => handler.onResponseStart?.(...given),
      onResponseData: (...given) => handler.onResponseData?.(...given),
      onResponseEnd: (...given) => handler.onResponseEnd?.(...given),
      onResponseError: (...given) => handler.onResponseError?.(...given),
    });
}

/** Retry-After in milliseconds: seconds or a date (RFC 9110 section 10.2.3). */
function retryAfter(value: string | string[] | undefined): number | undefined {
  if (typeof value !== 'string') return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
