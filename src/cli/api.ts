import { readFileSync } from 'node:fs';
import { describe } from '../domain/errors.ts';
import { parseJson } from '../domain/json.ts';
import { CliError } from './error.ts';

export interface ApiOptions {
  url: string;
  token: string | undefined;
}

/** A call of the service's API. @throws CliError `refused` with the service's own words; `unreachable` */
export type CallApi = <T>(
  method: 'GET' | 'POST',
  path: string,
  body?: object,
  accept?: number[],
) => Promise<T>;

/** Above the service's own limit for an answer without Redis. */
const TIMEOUT_MS = 15_000;

/** @throws CliError `usage` for a token file that cannot be read or an address that is none */
export function readApiOptions(values: Record<string, unknown>, env: NodeJS.ProcessEnv): ApiOptions {
  const given = values['url'] ?? env['CHEF_DEREGISTRATION_URL'] ?? 'http://127.0.0.1:3000';
  const url = String(given).replace(/\/+$/, '');
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
    throw new CliError('usage', `${url} is not an http or https address (--url, CHEF_DEREGISTRATION_URL)`);
  }
  const file = values['token-file'] ?? env['CHEF_DEREGISTRATION_TOKEN_FILE'];
  if (file === undefined) return { url, token: env['CHEF_DEREGISTRATION_TOKEN'] };
  try {
    return { url, token: readFileSync(String(file), 'utf8').trim() };
  } catch (error) {
    throw new CliError('usage', `the token cannot be read: ${describe(error)}`);
  }
}

export function apiCaller({ url, token }: ApiOptions): CallApi {
  return async <T>(method: string, path: string, body?: object, accept: number[] = []): Promise<T> => {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error: unknown) => {
      throw new CliError('unreachable', `${url} cannot be reached: ${describe(error)}`);
    });
    const text = await response.text();
    const answer = parseJson(text);
    if (response.ok || accept.includes(response.status)) {
      if (answer !== undefined) return answer as T;
      throw new CliError('refused', `${url}${path} answered no JSON: is it the address of the service?`);
    }
    const detail =
      answer && typeof answer === 'object' && 'detail' in answer ? String(answer.detail) : text.slice(0, 200);
    const hint =
      response.status === 401 && !token
        ? ' (give a token with --token-file or CHEF_DEREGISTRATION_TOKEN)'
        : '';
    throw new CliError(
      response.status === 503 ? 'unreachable' : 'refused',
      `${detail || `HTTP ${response.status}`}${hint}`,
    );
  };
}
