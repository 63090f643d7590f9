import { type Answer, type Asked, type StandIn, serveStandIn, startStandIn } from './stand-in.ts';

/** CGIs of a Nagios in this process's zone that keep downtimes in memory, and show them once the status is written. */
export function startNagiosStandIn(latencyMs: number): Promise<StandIn> {
  return startStandIn(import.meta.filename, latencyMs);
}

/** `status_update_interval` of nagios.cfg, where nobody changed it. */
const STATUS_UPDATE_MS = 10_000;
const FORM_ID = 'c0ffee';
const HOST_TYPE = 2;
const SERVICE_TYPE = 1;

const hosts = new Set<string>();
/** Hosts whose services are in downtime, and those that are themselves, too. */
const scheduled = { services: new Set<string>(), host: new Set<string>() };
const downtimes: object[] = [];
let written = { at: Date.now(), downtimelist: '{}' };

function answer({ method, path, headers, body }: Asked): Answer | undefined {
  if (method === 'POST' && path === '/cmd.cgi') return command(new URLSearchParams(body), headers.cookie);
  switch (`${method} ${path}`) {
    case 'GET /cmd.cgi?cmd_typ=55':
      return {
        call: 'form',
        headers: { 'set-cookie': `NagFormId=${FORM_ID}` },
        text: `<form><input name='nagFormId' value='${FORM_ID}'></form>`,
      };
    case 'GET /statusjson.cgi?query=downtimelist&details=true':
      return { call: 'downtimelist', text: status(`{"downtimelist":${written.downtimelist}}`) };
    case 'GET /statusjson.cgi?query=programstatus':
      return { call: 'probe', text: status('{"programstatus":{}}') };
    default:
      return undefined;
  }
}

function status(data: string): string {
  const result = { query_time: Date.now(), type_code: 0, type_text: 'Success', last_data_update: written.at };
  return `{"result":${JSON.stringify(result)},"data":${data}}`;
}

/** 86 is of the host's services, 55 of the host itself. Source: include/common.h of Nagios Core 4 */
function command(form: URLSearchParams, cookie: string | undefined): Answer | undefined {
  const field = (name: string) => form.get(name) ?? '';
  const host = field('host');
  const type = field('cmd_typ');
  if (field('nagFormId') !== FORM_ID || cookie !== `NagFormId=${FORM_ID}` || !hosts.has(host))
    return undefined;
  if (field('cmd_mod') !== '2' || (type !== '55' && type !== '86')) return undefined;
  scheduled[type === '55' ? 'host' : 'services'].add(host);
  downtimes.push({
    host_name: host,
    ...(type === '86' && { service_description: 'ssh' }),
    type: type === '55' ? HOST_TYPE : SERVICE_TYPE,
    comment: field('com_data'),
    start_time: usTime(field('start_time')),
    end_time: usTime(field('end_time')),
  });
  return {
    call: `POST ${type}`,
    text: 'Your command request was successfully submitted to Nagios for processing.',
  };
}

/** `date_format=us` */
function usTime(given: string): number {
  return Date.parse(given.replace(/^(\d+)-(\d+)-(\d+) /, '$3-$1-$2T'));
}

function writeStatus(): void {
  written = { at: Date.now(), downtimelist: JSON.stringify(Object.fromEntries(downtimes.entries())) };
}

if (import.meta.main) {
  setInterval(writeStatus, STATUS_UPDATE_MS);
  serveStandIn({
    answer,
    register: ({ node }) => hosts.add(node),
    open: () => [...hosts].filter(host => !scheduled.host.has(host) || !scheduled.services.has(host)).length,
  });
}
