import { AppError } from '../../domain/errors.ts';
import { answerDigest, type DigestChallenge, readDigestChallenge } from '../http/digest.ts';
import { HttpClient, type HttpResponse, type ObserveCall } from '../http/request.ts';
import { pageWords } from './reply.ts';

export interface NagiosHttpOptions {
  /** Base URL of the CGIs; a name and password in it are used where none are given apart. */
  url: string;
  username?: string | undefined;
  password?: string | undefined;
  timeoutMs: number;
  connections: number;
  attempts: number;
  observe?: ObserveCall | undefined;
}

export interface CgiRequest {
  /** File name: `cmd.cgi`. */
  cgi: string;
  query?: Record<string, string>;
  /** Sent by POST, and never a second time by itself. */
  form?: Record<string, string>;
  cookie?: string | undefined;
}

type Scheme = { name: 'basic' } | { name: 'digest'; challenge: DigestChallenge; count: number };

/** Asks the CGIs as a user: learns from the first refusal whether by basic or by digest authentication (RFC 7617, 7616). */
export class NagiosHttp {
  readonly #http: HttpClient;
  readonly #base: URL;
  /** Who we are to Nagios; undefined where no user is set. */
  readonly username: string | undefined;
  readonly #password: string;
  #scheme: Scheme | undefined;

  constructor(options: NagiosHttpOptions) {
    this.#base = new URL(options.url);
    this.username = options.username ?? (decoded(this.#base.username) || undefined);
    this.#password = options.password ?? decoded(this.#base.password);
    this.#base.username = '';
    this.#base.password = '';
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/';
    const { timeoutMs, connections, attempts, observe } = options;
    this.#http = new HttpClient({
      service: 'Nagios',
      timeoutMs,
      connections,
      attempts,
      maxBytes: 20_000_000,
      observe,
    });
  }

  /** Base URL of the CGIs, without name and password. */
  get url(): string {
    return this.#base.href;
  }

  /**
   * The answer, always of status 200.
   * @throws AppError `unavailable`, `credentials`, `permission` (403), `rejected` (404 and the rest)
   */
  async request(request: CgiRequest): Promise<HttpResponse> {
    return this.accept(request, await this.ask(request));
  }

  /**
   * The answer, whatever its status but 401.
   * @throws AppError `unavailable`, `credentials`
   */
  async ask(request: CgiRequest): Promise<HttpResponse> {
    for (let challenged = false; ; challenged = true) {
      const scheme = this.#scheme;
      const response = await this.#send(request);
      if (response.status !== 401) return response;
      // A digest nonce may have expired, with stale=true or, after a restart, without a word: the new one decides.
      if (challenged || scheme?.name === 'basic') throw this.#refused();
      this.#learn(response);
    }
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  #send({ cgi, query, form, cookie }: CgiRequest): Promise<HttpResponse> {
    const url = new URL(cgi, this.#base);
    url.search = new URLSearchParams(query).toString();
    const method = form ? 'POST' : 'GET';
    return this.#http.request({
      method,
      url,
      repeatable: !form,
      ...(form ? { body: new URLSearchParams(form).toString() } : {}),
      headers: () => ({
        // Icinga 1 takes a command only from its own form's page.
        ...(form ? { 'content-type': 'application/x-www-form-urlencoded', referer: url.href } : {}),
        ...(cookie ? { cookie } : {}),
        ...this.#authorization(method, url.pathname + url.search),
      }),
    });
  }

  #authorization(method: string, uri: string): { authorization?: string } {
    const scheme = this.#scheme;
    const username = this.username;
    if (!scheme || username === undefined) return {};
    const password = this.#password;
    if (scheme.name === 'basic') {
      return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
    }
    scheme.count += 1;
    const count = scheme.count;
    return { authorization: answerDigest(scheme.challenge, { method, uri, username, password, count }) };
  }

  /** Takes up the challenge of a 401. */
  #learn(response: HttpResponse): void {
    if (this.username === undefined) {
      throw new AppError(
        'credentials',
        `Nagios at ${this.#base} asks for a user: set NAGIOS_USERNAME and NAGIOS_PASSWORD`,
      );
    }
    const header = [response.headers['www-authenticate'] ?? []].flat().join(', ');
    const challenge = readDigestChallenge(header);
    if (challenge) this.#scheme = { name: 'digest', challenge, count: 0 };
    else if (/\bBasic\b/i.test(header)) this.#scheme = { name: 'basic' };
    else {
      const asked = header ? pageWords(header) : 'nothing';
      throw new AppError(
        'credentials',
        `Nagios at ${this.#base} answered 401 and offers neither basic nor digest authentication, but: ${asked}`,
      );
    }
  }

  #refused(): AppError {
    return new AppError(
      'credentials',
      `Nagios at ${this.#base} refuses user ${this.username}: check NAGIOS_USERNAME and NAGIOS_PASSWORD`,
    );
  }

  /** @returns the answer if its status is 200 @throws AppError as `request` for any other */
  accept({ cgi }: CgiRequest, response: HttpResponse): HttpResponse {
    const { status, text } = response;
    if (status === 200) return response;
    const where = `Nagios at ${this.#base}`;
    if (status === 403) {
      throw new AppError('permission', `${where} does not let user ${this.username ?? '(none)'} use ${cgi}`);
    }
    if (status === 404 || (status >= 300 && status < 400)) {
      const to = status === 404 ? '' : ` and points to ${response.headers['location'] ?? 'nowhere'}`;
      throw new AppError(
        'rejected',
        `${where} answered ${status} for ${cgi}${to}: set NAGIOS_URL to the folder of the CGIs, such as https://HOST/cgi-bin/nagios4/`,
      );
    }
    throw new AppError('rejected', `${where} answered ${status} to ${cgi}: ${pageWords(text)}`);
  }
}

/** A name or password from a URL, where a `%` may also stand for itself. */
function decoded(text: string): string {
  return text.replace(/(?:%[\da-f]{2})+/gi, escaped => {
    try {
      return decodeURIComponent(escaped);
    } catch {
      return escaped;
    }
  });
}
