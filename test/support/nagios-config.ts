import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpacked } from './process.ts';

export interface NagiosHost {
  name: string;
  services: string[];
  /** @default 127.0.0.1 */
  address?: string;
  alias?: string;
  displayName?: string;
}

export interface NagiosSettings {
  directory: string;
  hosts: NagiosHost[];
  dateFormat: string;
  statusUpdateSeconds: number;
  externalCommands: boolean;
  lockAuthors: boolean;
  /** Who may see and command everything; others may log in. */
  authorized: string;
}

/** Writes what the daemon and the CGIs read; gives the paths of both. */
export function writeConfig(settings: NagiosSettings): { daemon: string; cgi: string } {
  const { directory } = settings;
  for (const folder of ['rw', 'results', 'tmp']) mkdirSync(join(directory, folder), { recursive: true });
  writeFileSync(join(directory, 'objects.cfg'), objects(settings.hosts));
  const daemon = join(directory, 'nagios.cfg');
  writeFileSync(daemon, main(settings));
  const cgi = join(directory, 'cgi.cfg');
  writeFileSync(cgi, cgis(daemon, settings));
  return { daemon, cgi };
}

/** The paths stay short of a Unix socket's 107 bytes wherever the project lies: the daemon runs in its directory. */
const QUERY_SOCKET = '/proc/self/cwd/rw/nagios.qh';

function main({ directory, dateFormat, statusUpdateSeconds, externalCommands }: NagiosSettings): string {
  return lines({
    cfg_file: `${directory}/objects.cfg`,
    log_file: `${directory}/nagios.log`,
    lock_file: `${directory}/nagios.pid`,
    temp_file: `${directory}/tmp/nagios.tmp`,
    temp_path: `${directory}/tmp`,
    check_result_path: `${directory}/results`,
    object_cache_file: `${directory}/objects.cache`,
    precached_object_file: `${directory}/objects.precache`,
    status_file: `${directory}/status.dat`,
    state_retention_file: `${directory}/retention.dat`,
    command_file: `${directory}/rw/nagios.cmd`,
    query_socket: QUERY_SOCKET,
    nagios_user: process.getuid?.() ?? 0,
    nagios_group: process.getgid?.() ?? 0,
    check_external_commands: Number(externalCommands),
    retain_state_information: 1,
    status_update_interval: statusUpdateSeconds,
    date_format: dateFormat,
    execute_host_checks: 0,
    execute_service_checks: 0,
    check_for_updates: 0,
    use_syslog: 0,
    check_workers: 1,
    illegal_object_name_chars: '`~!$%^&*|\'"<>?,()=',
    illegal_macro_output_chars: '`~$&|\'"<>',
  });
}

function cgis(daemon: string, { authorized, lockAuthors }: NagiosSettings): string {
  const allowed = [
    'system_information',
    'configuration_information',
    'system_commands',
    'all_services',
    'all_hosts',
    'all_service_commands',
    'all_host_commands',
  ].map(what => [`authorized_for_${what}`, authorized]);
  return lines({
    main_config_file: daemon,
    physical_html_path: unpacked('usr/share/nagios4/htdocs'),
    url_html_path: '/nagios4',
    use_authentication: 1,
    lock_author_names: Number(lockAuthors),
    escape_html_tags: 1,
    ...Object.fromEntries(allowed),
  });
}

function objects(hosts: NagiosHost[]): string {
  const idle = {
    max_check_attempts: 3,
    check_command: 'always-fine',
    active_checks_enabled: 0,
    check_period: 'always',
    notification_period: 'always',
    contacts: 'operator',
  };
  return [
    define('command', { command_name: 'always-fine', command_line: '/bin/true' }),
    define('timeperiod', { timeperiod_name: 'always', alias: 'always' }),
    define('contact', {
      contact_name: 'operator',
      host_notification_period: 'always',
      service_notification_period: 'always',
      host_notification_commands: 'always-fine',
      service_notification_commands: 'always-fine',
    }),
    ...hosts.flatMap(({ name, services, address = '127.0.0.1', alias, displayName }) => [
      define('host', {
        host_name: name,
        address,
        ...(alias && { alias }),
        ...(displayName && { display_name: displayName }),
        ...idle,
      }),
      ...services.map(service =>
        define('service', { host_name: name, service_description: service, ...idle }),
      ),
    ]),
  ].join('\n');
}

/** Nagios wants the brace and every directive on lines of their own. */
function define(type: string, directives: Record<string, string | number>): string {
  const body = Object.entries(directives).map(([name, value]) => `  ${name} ${value}`);
  return [`define ${type} {`, ...body, '}', ''].join('\n');
}

function lines(settings: Record<string, string | number>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
