import { AppError } from '../../domain/errors.ts';
import { isObject, parseJson } from '../../domain/json.ts';

/** What cmd.cgi answered; it says HTTP 200 to all of these. Source: cgi/cmd.c of Nagios Core 4.4. */
export type CommandReply =
  | { kind: 'submitted' }
  /** No right to it, or no such host, service or downtime: cmd.cgi does not tell which. */
  | { kind: 'not-authorized'; words: string }
  /** The form id or its cookie is missing or out of date. */
  | { kind: 'form-refused'; words: string }
  | { kind: 'refused'; words: string };

export function readCommandReply(html: string): CommandReply {
  if (html.includes('successfully submitted')) return { kind: 'submitted' };
  const words = pageWords(html);
  // Icinga 1 says it in a table of what the command was about.
  if (/not authorized to commit/.test(words) || />Not Authorized</.test(html))
    return { kind: 'not-authorized', words };
  if (/CSRF cookie|form id/i.test(words)) return { kind: 'form-refused', words };
  return { kind: 'refused', words };
}

export interface CommandForm {
  /** `NagFormId=…`; undefined from a Nagios without this check. */
  cookie: string | undefined;
  formId: string | undefined;
  /** The time the form offers as start: now, in Nagios's own format and zone. */
  startTime: string | undefined;
}

export function readCommandForm(html: string, setCookie: string | string[] | undefined): CommandForm {
  const cookies = [setCookie ?? []].flat().map(cookie => cookie.split(';', 1)[0] ?? '');
  const field = (name: string) => new RegExp(`name='${name}'\\s+value='([^']*)'`, 'i').exec(html)?.[1];
  return {
    cookie: cookies.find(cookie => cookie.startsWith('NagFormId=')),
    formId: field('nagFormId'),
    startTime: field('start_time'),
  };
}

/** Whether a page is cmd.cgi's form, and so of a Nagios that takes commands. */
export function isCommandForm(html: string): boolean {
  return /<input [^>]*name=['"]cmd_typ['"]/i.test(html);
}

/** A host as extinfo.cgi of every Nagios Core shows it, those without JSON CGIs included. Source: cgi/extinfo.c */
export function readHostPage(html: string): { name: string; address: string } | undefined {
  const given = (what: string) =>
    new RegExp(`function nagios_get_host_${what}\\(\\)\\s*\\{\\s*return "([^"]*)";`).exec(html)?.[1];
  const [name, address] = [given('name'), given('address')];
  return name === undefined || address === undefined ? undefined : { name, address };
}

/**
 * The answer of statusjson.cgi or objectjson.cgi.
 * @throws AppError `unavailable` where there is nothing: so they answer while the daemon is stopped
 * @throws AppError `rejected` where it is not JSON
 */
export function readJsonReply(text: string, cgi: string): Record<string, unknown> {
  if (text.trim() === '') {
    throw new AppError(
      'unavailable',
      `Nagios has no status to show (${cgi} answered nothing): is its daemon running?`,
    );
  }
  const json = parseJson(text);
  if (isObject(json)) return json;
  throw new AppError('rejected', `Nagios ${cgi} did not answer in JSON but said: ${pageWords(text)}`);
}

/** What a page tells its reader: its error message where it has one, at most 200 characters of plain text. */
export function pageWords(html: string): string {
  const message =
    /<div class='errorMessage'>([\s\S]*?)(?:<br|<\/div>)/i.exec(html)?.[1] ??
    /<p>(Error: [\s\S]*?)<\/p>/i.exec(html)?.[1] ??
    html.replace(/<(head|script|style|form)\b[\s\S]*?<\/\1>/gi, ' ');
  const words = message
    .replace(/<!--[\s\S]*?-->|<[^>]*>/g, ' ')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&#0*39;/g, "'")
    .replace(/&nbsp;/g, ' ')
    .replace(/&amp;/g, '&')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a page may hold anything; logs should not
    .replace(/[\s\u0000-\u001f\u007f]+/g, ' ')
    .trim();
  return words.slice(0, 200) || 'nothing';
}
