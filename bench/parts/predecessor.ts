import { createPrivateKey } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { signedHeaders } from '../../src/clients/chef/signing.ts';
import { formatNagiosDate } from '../../src/clients/nagios/date.ts';
import { type CommandForm, readCommandForm, readCommandReply } from '../../src/clients/nagios/reply.ts';
import { freshDirectory } from '../../test/support/process.ts';
import {
  type Calls,
  type Clear,
  type Comparator,
  each,
  serveComparator,
  startComparator,
  type Target,
} from './comparator.ts';
import type { Termination } from './terminations.ts';

/**
 * The calls of the daemon of 2012 in its order, each on a connection of its own: two commands to Nagios, both objects
 * read and dumped to files, then deleted. Nothing is flushed to disk, looked at again, or proved.
 */
export function startPredecessor(target: Target): Promise<Comparator> {
  return startComparator(import.meta.filename, target);
}

interface Call {
  method: 'GET' | 'POST' | 'DELETE';
  url: URL;
  headers: Record<string, string>;
  body?: string;
}

/** On a new connection, which is closed after it. */
async function once({
  method,
  url,
  headers,
  body = '',
}: Call): Promise<{ headers: IncomingMessage['headers']; text: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    request(
      url,
      { method, agent: false, headers: { ...headers, ...(body && length), connection: 'close' } },
      resolve,
    )
      .once('error', reject)
      .end(body);
  });
  const answer = await text(response);
  if (response.statusCode !== 200)
    throw new Error(`${method} ${url} answered ${response.statusCode}: ${answer}`);
  return { headers: response.headers, text: answer };
}

async function open({ chef, nagios }: Target): Promise<Clear> {
  const dump = freshDirectory('predecessor');
  const calls: Calls = { chef: 0, nagios: 0 };
  const key = createPrivateKey(chef.key);
  const ask = async (method: 'GET' | 'DELETE', path: string): Promise<string> => {
    calls.chef += 1;
    const signing = {
      version: '1.1',
      clientName: chef.clientName,
      key,
      method,
      path,
      body: '',
      time: new Date(),
    } as const;
    const headers = { ...(await signedHeaders(signing)), accept: 'application/json' };
    return (await once({ method, url: new URL(path, chef.url), headers })).text;
  };
  const clear = async ({ node }: Termination, command: Command | undefined): Promise<void> => {
    await command?.('55', node);
    await command?.('86', node);
    await writeFile(join(dump, `chef-node-${node}`), await ask('GET', `/nodes/${node}`));
    await writeFile(join(dump, `chef-client-${node}`), await ask('GET', `/clients/${node}`));
    await ask('DELETE', `/clients/${node}`);
    await ask('DELETE', `/nodes/${node}`);
  };

  return async (terminations, atOnce) => {
    const begun = performance.now();
    const goneMs: number[] = [];
    const command = nagios && (await openNagios(nagios, calls));
    await each(terminations, atOnce, async termination => {
      const started = performance.now();
      await clear(termination, command);
      goneMs.push(performance.now() - started);
    });
    const seconds = (performance.now() - begun) / 1000;
    return { seconds, provedSeconds: seconds, goneMs, calls };
  };
}

type Command = (type: '55' | '86', host: string) => Promise<void>;

/** Its Nagios had no check against forged forms: here the form is asked for once, and its id sent with each command. */
async function openNagios(
  { url, username, password }: NonNullable<Target['nagios']>,
  calls: Calls,
): Promise<Command> {
  const cgi = new URL('cmd.cgi', url.endsWith('/') ? url : `${url}/`);
  const headers: Record<string, string> = {};
  if (username !== undefined) {
    headers['authorization'] = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }
  const page = await once({ method: 'GET', url: new URL('?cmd_typ=55', cgi), headers });
  const form: CommandForm = readCommandForm(page.text, page.headers['set-cookie']);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const at = (ms: number) => formatNagiosDate(new Date(ms), 'us', zone);

  return async (type, host) => {
    calls.nagios += 1;
    const body = new URLSearchParams({
      cmd_typ: type,
      cmd_mod: '2',
      nagFormId: form.formId ?? '',
      host,
      com_author: 'registration-server',
      com_data: 'instance terminated',
      trigger: '0',
      start_time: at(Date.now()),
      end_time: at(Date.now() + 7_200_000),
      fixed: '1',
      hours: '2',
      minutes: '0',
      childoptions: '0',
    });
    const answer = await once({
      method: 'POST',
      url: cgi,
      headers: { ...headers, cookie: form.cookie ?? '', 'content-type': 'application/x-www-form-urlencoded' },
      body: body.toString(),
    });
    const reply = readCommandReply(answer.text);
    if (reply.kind !== 'submitted')
      throw new Error(`Nagios did not take ${type} for ${host}: ${reply.words}`);
  };
}

if (import.meta.main) serveComparator(open);
