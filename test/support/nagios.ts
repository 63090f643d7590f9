import { rmSync } from 'node:fs';
import { type Asked, type FaultOf, startGateway } from './cgi.ts';
import { runCgi } from './cgi-program.ts';
import { type NagiosHost as ConfiguredHost, writeConfig } from './nagios-config.ts';
import { freshDirectory, type Running, start, unpacked, until } from './process.ts';

/** A host; it gets the services `disk` and `ssh` if none are given. */
export type NagiosHost = Omit<ConfiguredHost, 'services'> & Partial<ConfiguredHost>;

export interface NagiosOptions {
  /** At least one: Nagios wants it. */
  hosts: (string | NagiosHost)[];
  auth?: 'basic' | 'digest' | 'digest-sha-256';
  dateFormat?: 'us' | 'euro' | 'iso8601' | 'strict-iso8601';
  /** The zone of the web server, and so of the CGIs. */
  timezone?: string;
  /** How often the daemon writes what the CGIs show. */
  statusUpdateSeconds?: number;
  externalCommands?: boolean;
  /** Whether the user may see and command every host, or none. */
  authorized?: boolean;
  /** Whether the author of a comment is always who logged in. @default as Debian has it, */
  lockAuthors?: boolean;
}

/** One entry of `statusjson.cgi?query=downtimelist&details=true`; times in milliseconds, type 1 a service, 2 a host. */
interface ListedDowntime {
  host_name: string;
  service_description?: string;
  type: number;
  comment: string;
  author: string;
  fixed: boolean;
  start_time: number;
  end_time: number;
}

export interface Nagios {
  /** Base URL of the CGIs. */
  url: string;
  username: string;
  password: string;
  /** What the gateway was asked, oldest first. */
  requests: Asked[];
  daemon: Running;
  /** What stands, as the daemon last wrote it; asked of the CGI itself, so not among `requests`. */
  downtimes: () => Promise<ListedDowntime[]>;
  /** Rewrites the hosts and reloads, as a chef-client run on the Nagios host does. */
  setHosts: (hosts: (string | NagiosHost)[]) => Promise<void>;
  gateway: {
    /** Connections are refused until `open`. */
    refuse: () => Promise<void>;
    open: () => Promise<void>;
    forgetNonces: () => void;
    fail: (faultOf?: FaultOf) => void;
  };
  stop: () => Promise<void>;
}

/** A Nagios of its own: the real daemon in the foreground and its real CGIs behind a small gateway. */
export async function startNagios(options: NagiosOptions): Promise<Nagios> {
  const directory = freshDirectory('nagios');
  const username = 'nagiosadmin';
  const password = 'open: "sesame", 5%';
  const path = '/cgi-bin/nagios4/';
  const settings = {
    directory,
    dateFormat: options.dateFormat ?? 'us',
    statusUpdateSeconds: options.statusUpdateSeconds ?? 1,
    externalCommands: options.externalCommands ?? true,
    lockAuthors: options.lockAuthors ?? true,
    authorized: options.authorized === false ? 'somebody-else' : username,
  };
  const config = writeConfig({ ...settings, hosts: options.hosts.map(host) });
  const env = { NAGIOS_CGI_CONFIG: config.cgi, TZ: options.timezone ?? process.env['TZ'] };
  const daemon = await start(unpacked('usr/sbin/nagios4'), {
    args: [config.daemon],
    cwd: directory,
    ready: /Successfully launched command file worker/,
  });
  const gateway = await startGateway({
    directory: unpacked('usr/lib/cgi-bin/nagios4'),
    path,
    auth: options.auth ?? 'basic',
    username,
    password,
    env,
  });
  const ask = async (cgi: string, query: string) => {
    const program = unpacked(`usr/lib/cgi-bin/nagios4/${cgi}`);
    const answer = await runCgi({
      program,
      env: { REQUEST_METHOD: 'GET', QUERY_STRING: query, REMOTE_USER: settings.authorized, ...env },
    });
    return JSON.parse(answer.text);
  };
  return {
    url: `http://127.0.0.1:${gateway.port}${path}`,
    username,
    password,
    requests: gateway.requests,
    daemon,
    downtimes: async () => {
      const { data } = await ask('statusjson.cgi', 'query=downtimelist&details=true');
      return Object.values<ListedDowntime>(data.downtimelist);
    },
    setHosts: async hosts => {
      const wanted = hosts.map(host);
      writeConfig({ ...settings, hosts: wanted });
      daemon.child.kill('SIGHUP');
      const names = wanted.map(({ name }) => name).sort();
      await until('Nagios to know its new hosts', async () => {
        const { data } = await ask('statusjson.cgi', 'query=hostlist');
        return String(Object.keys(data.hostlist).sort()) === String(names);
      });
    },
    gateway: {
      refuse: gateway.close,
      open: gateway.listen,
      forgetNonces: gateway.forgetNonces,
      fail: gateway.fail,
    },
    stop: async () => {
      await gateway.close();
      await daemon.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function host(given: string | NagiosHost): ConfiguredHost {
  return { services: ['disk', 'ssh'], ...(typeof given === 'string' ? { name: given } : given) };
}

/** A fault of a Nagios without these programs: the web server answers with this status. */
export function without(cgis: string[], status = 404): FaultOf {
  return ({ cgi }) => (cgis.includes(cgi) ? status : undefined);
}

/** Both are there since Nagios Core 4.0.7. */
export const JSON_CGIS = ['statusjson.cgi', 'objectjson.cgi'];
