import { isObject, parseJson } from '../../domain/json.ts';

/**
 * Whether a 404 says that the very thing asked for does not exist. `likely`: in words that some servers also use for a
 * missing organization or an unknown path, so that they count only if the organization is proved to exist.
 *
 * Chef Infra Server: `{"error":["node 'web-1' not found"]}`, `{"error":"There is no key named k associated with web-1."}`,
 * `{"error":["organization 'acme' does not exist."]}`; goiardi: `{"error":["Client web-1 not found"]}`; chef-zero, whatever
 * is missing: `{"error":["Object not found: https://chef/organizations/acme/nodes/web-1"]}`.
 * Source: chef_wm_util.erl of chef/chef-server, rest_base.rb of chef/chef-zero
 * @param target below the organization: `['clients', 'web-1', 'keys', 'default']`
 */
export function absence(
  status: number,
  text: string,
  target: readonly string[],
): 'certain' | 'likely' | undefined {
  const error = status === 404 ? readError(text) : undefined;
  if (error === undefined) return undefined;
  const message = [error].flat().join('; ');
  if (speaksOfOrganization(message)) return undefined;
  const [, object, below, key] = target;
  const names = [object, below === 'keys' ? key : undefined].filter(name => name !== undefined);
  if (names.some(name => isNamed(message, name))) return 'certain';
  // Other programs than Chef servers answer `{"error":"Not Found"}`.
  return Array.isArray(error) || names.some(name => message.includes(`/${name}`)) ? 'likely' : undefined;
}

/** The messages of a Chef server's error, on one line; undefined if the text is not one. */
export function errorMessages(text: string): string | undefined {
  const error = readError(text);
  return error && [error].flat().join('; ');
}

function readError(text: string): string | string[] | undefined {
  const json = parseJson(text);
  const error = isObject(json) ? json['error'] : undefined;
  if (typeof error === 'string') return error;
  const isList = Array.isArray(error) && error.length > 0 && error.every(each => typeof each === 'string');
  return isList ? error : undefined;
}

/** In quotes the word is the name of a node or client, and with more letters around it part of a name or of a URL. */
function speaksOfOrganization(message: string): boolean {
  return /(?<!['/.-])\borgani[sz]ation\b(?!'|[/.:-]\w)/i.test(message);
}

/** As a word of its own, not as the end of a path: a server that repeats the path has not understood it. */
function isNamed(message: string, name: string): boolean {
  return new RegExp(`(?<![\\w.:/-])${name.replaceAll('.', '\\.')}(?![\\w:-]|\\.\\w)`).test(message);
}
