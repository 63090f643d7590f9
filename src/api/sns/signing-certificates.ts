import { X509Certificate } from 'node:crypto';
import { HttpClient, type ObserveCall } from '../../clients/http/request.ts';
import { AppError, describe } from '../../domain/errors.ts';

/** SNS waits 15 seconds for our answer: a server that hangs must not use them up. Waiting for a turn counts. */
const TIMEOUT_MS = 5_000;
/** A certificate has about 2 kB; a chain of them is still far below this. */
const MAX_BYTES = 64 * 1024;
/** However many messages wait, for however many certificates. */
const UNDER_WAY = 2;
const WAITING = 200;
/** SNS signs with one certificate per region at a time. */
const KEPT = 16;
const LIFETIME_MS = 24 * 3_600_000;
/** A certificate that could not be had is not asked for again within this time. */
const FAILURE_MS = 2_000;
const FAILURES = 200;

interface Kept<T> {
  value: T;
  until: number;
}

/**
 * The certificates that SNS signs with, fetched over HTTPS within bounds: nothing that a message names can make it
 * fetch much, for long, or often. No redirect is followed.
 */
export class SigningCertificates {
  readonly #http: HttpClient;
  readonly #found = new Map<string, Kept<X509Certificate>>();
  readonly #failed = new Map<string, Kept<unknown>>();
  readonly #asked = new Map<string, Promise<X509Certificate>>();
  readonly #line: (() => void)[] = [];
  #underWay = 0;

  constructor(observe?: ObserveCall) {
    this.#http = new HttpClient({
      service: 'certificate of SNS',
      timeoutMs: TIMEOUT_MS,
      attempts: 1,
      connections: UNDER_WAY,
      maxBytes: MAX_BYTES,
      observe,
    });
  }

  /** How many are kept now. */
  get size(): number {
    return this.#found.size;
  }

  /**
   * @throws AppError `unavailable` if it cannot be fetched now; `rejected` if the answer is not a certificate
   */
  async get(url: string): Promise<X509Certificate> {
    const found = fresh(this.#found, url);
    if (found) {
      keep(this.#found, url, found, KEPT);
      return found.value;
    }
    const failed = fresh(this.#failed, url);
    if (failed) throw failed.value;
    return this.#asked.get(url) ?? this.#ask(url);
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  #ask(url: string): Promise<X509Certificate> {
    const asking = this.#fetch(url)
      .then(
        value => {
          keep(this.#found, url, { value, until: Date.now() + LIFETIME_MS }, KEPT);
          return value;
        },
        (value: unknown) => {
          keep(this.#failed, url, { value, until: Date.now() + FAILURE_MS }, FAILURES);
          throw value;
        },
      )
      .finally(() => this.#asked.delete(url));
    this.#asked.set(url, asking);
    return asking;
  }

  async #fetch(url: string): Promise<X509Certificate> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const late = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => late.reject(overdue(url)));
    late.promise.catch(() => {});
    return Promise.race([this.#inTurn(url, signal), late.promise]);
  }

  async #inTurn(url: string, signal: AbortSignal): Promise<X509Certificate> {
    await this.#turn();
    try {
      if (signal.aborted) throw overdue(url);
      const answer = await this.#http.request({ method: 'GET', url: new URL(url), repeatable: false });
      if (answer.status !== 200) throw rejected(url, `answered ${answer.status}`);
      return parse(url, answer.text);
    } finally {
      const next = this.#line.shift();
      if (next) next();
      else this.#underWay -= 1;
    }
  }

  async #turn(): Promise<void> {
    if (this.#underWay < UNDER_WAY) {
      this.#underWay += 1;
      return;
    }
    if (this.#line.length >= WAITING) {
      throw new AppError('unavailable', `${WAITING} messages wait for certificates of SNS already`);
    }
    await new Promise<void>(resolve => this.#line.push(resolve));
  }
}

function parse(url: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw rejected(url, `is not a certificate (${describe(error)})`);
  }
}

function fresh<T>(map: Map<string, Kept<T>>, url: string): Kept<T> | undefined {
  const kept = map.get(url);
  return kept && kept.until > Date.now() ? kept : undefined;
}

/** Adds it as the newest, and drops the oldest if there are too many. */
function keep<T>(map: Map<string, Kept<T>>, url: string, kept: Kept<T>, limit: number): void {
  map.delete(url);
  map.set(url, kept);
  const [oldest] = map.keys();
  if (map.size > limit && oldest !== undefined) map.delete(oldest);
}

function overdue(url: string): AppError {
  return new AppError('unavailable', `certificate of SNS ${url} did not arrive within ${TIMEOUT_MS} ms`);
}

function rejected(url: string, why: string): AppError {
  return new AppError('rejected', `certificate of SNS ${url} ${why}`);
}
