import { AppError } from '../../domain/errors.ts';
import { isObject, type JsonObject, parseJson } from '../../domain/json.ts';
import type { HttpRequest, HttpResponse } from '../http/request.ts';
import { absence, errorMessages } from './absence.ts';

/** What a Chef server answered, and to what. */
export interface ChefAnswer extends HttpResponse {
  method: HttpRequest['method'];
  url: URL;
  /** What was asked for, below the organization: `['nodes', 'web-1']`. */
  target: string[];
  /** Client that signed the request. */
  clientName: string;
  /** Our clock when the answer came. */
  at: Date;
}

/** The Chef permission that each method needs. Source: https://docs.chef.io/server/server_orgs/#permissions */
const PERMISSION: Record<string, string> = { GET: 'read', POST: 'create', PUT: 'update', DELETE: 'delete' };

/** Clocks further apart than this, in seconds, are named as the cause of a 401; the Chef server allows 900 itself. */
const SUSPICIOUS_SKEW = 300;

const WRONG_URL = 'is CHEF_SERVER_URL right, and not missing /organizations/ORG?';

/**
 * The JSON of an answer; undefined if the Chef server itself says that there is no such thing.
 * @throws AppError `credentials`, `permission`, `conflict`, `too-large`; `rejected` for anything that is not an answer of a
 * Chef server to this request, since a wrong URL must not read as "gone"
 */
export function readJson(answer: ChefAnswer): unknown {
  if (absence(answer.status, answer.text, answer.target)) return undefined;
  if (answer.status < 200 || answer.status > 299) throw refusal(answer);
  const json = parseJson(answer.text);
  if (json === undefined) {
    const what = answer.text.trim() ? 'not JSON' : 'nothing';
    throw new AppError('rejected', `${asked(answer)} answered ${answer.status} with ${what}: ${WRONG_URL}`);
  }
  return json;
}

/** As readJson, for an answer that must be an object. */
export function readObject(answer: ChefAnswer): JsonObject | undefined {
  const json = readJson(answer);
  if (json === undefined || isObject(json)) return json;
  throw new AppError('rejected', `${asked(answer)} answered JSON that is not an object: ${WRONG_URL}`);
}

/** As readObject, for an answer that must be the very thing asked for. */
export function readNamed<T extends JsonObject & { name: string }>(
  answer: ChefAnswer,
  name: string,
): T | undefined {
  const object = readObject(answer);
  if (object === undefined || object['name'] === name) return object as T | undefined;
  const other =
    typeof object['name'] === 'string' ? `about ${JSON.stringify(object['name'])}` : 'without a name';
  throw new AppError('rejected', `${asked(answer)} answered ${answer.status} ${other}: ${WRONG_URL}`);
}

/** What is wrong with an answer that is neither what was asked for nor its absence. */
export function refusal(answer: ChefAnswer): AppError {
  const { status, clientName } = answer;
  const said = (errorMessages(answer.text) ?? answer.text).replace(/\s+/g, ' ').trim().slice(0, 200);
  const what = `${asked(answer)} answered ${status}${said ? ` (${said})` : ''}`;
  switch (status) {
    case 401:
      return new AppError('credentials', `${what}: ${distrust(answer)}`);
    case 403:
      return new AppError('permission', `${what}: Chef client ${clientName} lacks ${lacking(answer)}`);
    case 404:
      return new AppError('rejected', `${what}: ${WRONG_URL}`);
    case 409:
      return new AppError('conflict', what);
    case 413:
      return new AppError('too-large', `${what}: more than the Chef server takes in one request`);
    default:
      return new AppError('rejected', status < 400 ? `${what}: ${WRONG_URL}` : what);
  }
}

/** Why a signature is refused: the time in it, or the key. */
function distrust({ headers, at, clientName }: ChefAnswer): string {
  const key = `the key is not that of Chef client ${clientName}, or there is no such client`;
  const skew = Math.round((at.getTime() - Date.parse(String(headers['date']))) / 1000);
  if (Number.isNaN(skew)) return `${key}, or this host's clock is more than 15 minutes off`;
  const apart = `this host's clock is ${Math.abs(skew)} s ${skew < 0 ? 'behind' : 'ahead of'} the Chef server's`;
  if (Math.abs(skew) < SUSPICIOUS_SKEW) return `${key} (not the clock: ${apart})`;
  return `${apart}, so it refuses Chef client ${clientName}: set the clock right (NTP)`;
}

function lacking({ method, target, clientName }: ChefAnswer): string {
  const [kind = '', name, below] = target;
  const permission = below === '_acl' ? 'grant' : (PERMISSION[method] ?? method);
  // Search and environments can be read by members of the organization's groups.
  if (kind !== 'nodes' && kind !== 'clients') return `${permission} on ${target.join('/')}`;
  const [type, object] = name === undefined ? ['containers', kind] : [kind, name];
  return (
    `${permission.toUpperCase()} on ${type}/${object}; ` +
    `grant it with: knife acl add client ${clientName} ${type} ${object} ${permission}`
  );
}

function asked({ method, url }: ChefAnswer): string {
  return `Chef server ${method} ${url.origin}${url.pathname}`;
}
