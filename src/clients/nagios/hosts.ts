import { AppError } from '../../domain/errors.ts';
import { isObject } from '../../domain/json.ts';
import type { NagiosHttp } from './http.ts';
import type { NagiosJson } from './json.ts';
import { readHostPage } from './reply.ts';
import { checkedData } from './status.ts';

/** A host as Nagios has it configured. */
export interface NagiosHost {
  name: string;
  /** IP address or DNS name; Nagios takes the host's name if none is configured. */
  address: string;
  /** Free text; Nagios takes the host's name if none is configured, and an old one shows none. */
  alias?: string;
  displayName?: string;
}

/** How long a list of all hosts serves, so that many terminations at once make one query. */
const LIST_FRESH_MS = 10_000;

/** Finds hosts by name, and shows what Nagios knows of them. */
export class NagiosHosts {
  readonly #http: NagiosHttp;
  readonly #json: NagiosJson;
  #list: { askedAt: number; names: Promise<string[]> } | undefined;

  constructor(http: NagiosHttp, json: NagiosJson) {
    this.#http = http;
    this.#json = json;
  }

  /**
   * The hosts whose name differs from this at most in case, as Nagios spells them; an exact match comes alone.
   * @throws AppError `unsupported` if Nagios cannot list its hosts
   */
  async named(name: string): Promise<string[]> {
    const names = await this.#names();
    if (names.includes(name)) return [name];
    const wanted = name.toLowerCase();
    return names.filter(each => each.toLowerCase() === wanted);
  }

  /**
   * @returns undefined if Nagios has no host of exactly this name, or does not show it to the user
   * @throws AppError `unsupported` if Nagios can show no host
   */
  async show(name: string): Promise<NagiosHost | undefined> {
    try {
      return await this.#showJson(name);
    } catch (error) {
      if (error instanceof AppError && error.code === 'unsupported') return this.#showPage(name, error);
      throw error;
    }
  }

  async #showJson(name: string): Promise<NagiosHost | undefined> {
    const json = await this.#json.query('objectjson.cgi', { query: 'host', hostname: name });
    const result = isObject(json['result']) ? json['result'] : {};
    if (/could not be found/i.test(String(result['message'] ?? ''))) return undefined;
    const { host } = checkedData(json, 'host');
    const { address, alias, display_name } = isObject(host) ? host : {};
    return {
      name,
      address: typeof address === 'string' ? address : '',
      ...(typeof alias === 'string' && { alias }),
      ...(typeof display_name === 'string' && { displayName: display_name }),
    };
  }

  async #showPage(name: string, unsupported: AppError): Promise<NagiosHost | undefined> {
    const { text } = await this.#http.request({ cgi: 'extinfo.cgi', query: { type: '1', host: name } });
    const host = readHostPage(text);
    if (host?.name === name) return host;
    if (/Produced by Nagios/.test(text)) return undefined;
    throw unsupported;
  }

  #names(): Promise<string[]> {
    const now = Date.now();
    if (this.#list === undefined || now - this.#list.askedAt >= LIST_FRESH_MS) {
      const names = this.#askNames();
      this.#list = { askedAt: now, names };
      names.catch(() => {
        this.#list = undefined;
      });
    }
    return this.#list.names;
  }

  async #askNames(): Promise<string[]> {
    const json = await this.#json.query('objectjson.cgi', { query: 'hostlist' });
    const { hostlist } = checkedData(json, 'hostlist');
    const names = Array.isArray(hostlist) ? hostlist : [];
    // The CGIs show a name that is not ASCII as an empty text.
    return names.filter((name): name is string => typeof name === 'string' && name !== '');
  }
}
