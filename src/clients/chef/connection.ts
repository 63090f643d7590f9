import type { KeyObject } from 'node:crypto';
import { AppError } from '../../domain/errors.ts';
import { isNodeName } from '../../domain/identifiers.ts';
import type { JsonObject } from '../../domain/json.ts';
import { HttpClient, type HttpRequest, type ObserveCall } from '../http/request.ts';
import { absence } from './absence.ts';
import { type ChefAnswer, readNamed, refusal } from './answer.ts';
import { canonicalPath, parseKey, type SigningVersion, signedHeaders } from './signing.ts';

export interface ChefOptions {
  /** Base URL, with `/organizations/ORG` where the server has organizations. */
  url: string;
  /** Chef client or user whose key signs. */
  clientName: string;
  /** RSA private key, PEM (PKCS#1 or PKCS#8). */
  key: string;
  /** Certificates (PEM) that are trusted besides Node's own authorities. */
  trusted?: readonly string[];
  /** How to trust the server's certificate if it is not. @default by CHEF_CA_FILE */
  trustAdvice?: string;
  /** @default '1.3' */
  signing?: SigningVersion;
  /** Limit of one attempt in milliseconds. @default 10000 */
  timeoutMs?: number;
  /** Connections kept open to the server. @default 128 */
  connections?: number;
  /** The clock that signatures carry. */
  now?: () => Date;
  observe?: ObserveCall | undefined;
}

export interface ChefCall {
  method: HttpRequest['method'];
  /** Segments below the organization, each of them checked: `['nodes', 'web-1']`. */
  target: string[];
  query?: Record<string, string>;
  /** A string is sent as it is: JSON that must reach the server byte for byte. */
  body?: JsonObject | string;
  /** Called right before the first byte is written; if it throws, nothing is sent and the call rejects with the same error. */
  beforeSend?: (() => void) | undefined;
}

/** How long the health check waits, in milliseconds. */
const PROBE_TIMEOUT_MS = 3_000;
const TRUST_ADVICE =
  'set CHEF_CA_FILE to a PEM file with it or its authority, such as knife ssl fetch saves in ~/.chef/trusted_certs';
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

export type ChefServer = Pick<ChefConnection, 'get' | 'call'>;

/** Signed requests to one Chef server, as one client. */
export class ChefConnection {
  readonly #base: string;
  readonly #clientName: string;
  readonly #key: KeyObject;
  readonly #signing: SigningVersion;
  readonly #now: () => Date;
  readonly #http: HttpClient;
  /** Apart from the other calls, so that a long line of them does not read as a server that is away. */
  readonly #probing: HttpClient;

  /** @throws AppError `invalid` where the URL, the client's name or its key cannot be used */
  constructor(options: ChefOptions) {
    this.#base = baseUrl(options.url);
    this.#clientName = pathSegment(options.clientName, 'client');
    this.#key = parseKey(options.key);
    this.#signing = options.signing ?? '1.3';
    this.#now = options.now ?? (() => new Date());
    const timeoutMs = options.timeoutMs ?? 10_000;
    const { trusted, trustAdvice = TRUST_ADVICE, observe } = options;
    const common = { service: 'Chef server', maxBytes: MAX_ANSWER_BYTES, trusted, trustAdvice, observe };
    this.#http = new HttpClient({
      ...common,
      timeoutMs,
      attempts: 3,
      connections: options.connections ?? 128,
    });
    const probeMs = Math.min(timeoutMs, PROBE_TIMEOUT_MS);
    this.#probing = new HttpClient({ ...common, timeoutMs: probeMs, attempts: 1, connections: 1 });
  }

  /**
   * A call that changes something is sent once: after a lost answer only new checks can tell whether to send it again.
   * @throws AppError `unavailable`; `rejected` if the thing asked for seems to be missing because the organization is;
   * any other answer comes back to be read
   */
  async call(call: ChefCall): Promise<ChefAnswer> {
    const answer = await this.#send(this.#http, call);
    const missing = absence(answer.status, answer.text, answer.target);
    if (missing === 'likely') await this.#findOrganization(this.#http);
    return answer;
  }

  get(...target: string[]): Promise<ChefAnswer> {
    return this.call({ method: 'GET', target });
  }

  /** The same server; each change is sent only if this does not throw right before. */
  checkedBy(beforeSend: (() => void) | undefined): ChefServer {
    return {
      get: (...target) => this.get(...target),
      call: call => this.call(isRead(call) ? call : { ...call, beforeSend }),
    };
  }

  /**
   * Proves by one cheap request that the server can be reached and accepts our key, and that the URL is that of an
   * organization; not what we may do in it.
   * @throws AppError
   */
  async probe(): Promise<void> {
    await this.#findOrganization(this.#probing);
  }

  async close(): Promise<void> {
    await Promise.all([this.#http.close(), this.#probing.close()]);
  }

  /** Every organization has the environment `_default`. */
  async #findOrganization(http: HttpClient): Promise<void> {
    const answer = await this.#send(http, { method: 'GET', target: ['environments', '_default'] });
    if (answer.status === 403 || readNamed(answer, '_default')) return;
    throw refusal(answer);
  }

  async #send(http: HttpClient, call: ChefCall): Promise<ChefAnswer> {
    const { method, target, query, body, beforeSend } = call;
    const url = new URL(`${this.#base}/${target.join('/')}`);
    url.search = new URLSearchParams(query).toString();
    const text = typeof body === 'object' ? JSON.stringify(body) : (body ?? '');
    const signing = {
      version: this.#signing,
      clientName: this.#clientName,
      key: this.#key,
      method,
      path: url.pathname,
      body: text,
    };
    const sign = () => signedHeaders({ ...signing, time: this.#now() });
    const response = await http.request({
      method,
      url,
      headers: async () => ({
        ...(await sign()),
        Accept: 'application/json',
        ...(text && { 'Content-Type': 'application/json' }),
      }),
      ...(text && { body: text }),
      repeatable: isRead(call),
      beforeSend,
    });
    return { ...response, method, url, target, clientName: this.#clientName, at: this.#now() };
  }
}

/** Whether a call changes nothing; a search is a POST. */
function isRead({ method, target }: ChefCall): boolean {
  return method === 'GET' || (method === 'POST' && target[0] === 'search');
}

/**
 * The one way a name gets into a path. All its characters stand for themselves there (RFC 3986, pchar), and Chef servers
 * check the signature of the path as it was sent, so it is not percent-encoded.
 * @throws AppError `invalid` for anything that could be more or less than one segment
 */
export function pathSegment(name: unknown, kind: 'node' | 'client' | 'key'): string {
  if (isNodeName(name)) return name;
  throw new AppError('invalid', `${JSON.stringify(name)} is not a name of a Chef ${kind}`, { field: 'name' });
}

/** Without a slash at the end. */
function baseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new AppError('invalid', 'the Chef server URL is not an http or https URL');
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new AppError(
      'invalid',
      `the Chef server URL of ${url.host} has more in it than a host and a path: leave out user, password, query and fragment`,
    );
  }
  const path = canonicalPath(url.pathname);
  return url.origin + (path === '/' ? '' : path);
}
