import { spawn } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshDirectory } from '../parts/process.ts';

const script = new URL('../../host/chef-registration-init', import.meta.url).pathname;

export interface HostOptions {
  /** PEM of its Chef client. */
  key: string;
  /** `node_name` of its client.rb; none where undefined. */
  node?: string;
  /** Of client.conf. */
  settings?: Record<string, string>;
  env?: NodeJS.ProcessEnv;
}

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Host {
  directory: string;
  /** Runs chef-registration-init, and adds the settings file to its arguments. */
  run: (args: string[], env?: NodeJS.ProcessEnv) => Promise<Outcome>;
  /** Puts a program of this name, a body of sh, before the system's own in PATH. */
  standIn: (name: string, body: string) => void;
  /** What `systemctl list-jobs` says from now on; a line for each job, `unit type`. */
  systemdJobs: (...jobs: string[]) => void;
  /** A host without systemd: what runlevel says from now on. */
  runlevel: (levels: string) => void;
}

/** A folder that is a host: client.rb, key, settings, and the programs that tell how the machine is leaving. */
export function makeHost({ key, node, settings = {}, env = {} }: HostOptions): Host {
  const directory = freshDirectory('host');
  const put = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const clientKey = put('client.pem', key);
  const clientRb = put(
    'client.rb',
    `chef_server_url 'https://chef.example.com'\n${node ? `node_name '${node}' # its name\n` : ''}client_key "${clientKey}"\n`,
  );
  const all = { CLIENT_RB: clientRb, ...settings };
  const conf = put(
    'client.conf',
    `# settings\n\n${Object.entries(all)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('')}`,
  );
  const standIn = (name: string, body: string) => chmodSync(put(name, `#!/bin/sh\n${body}\n`), 0o755);
  const host: Host = {
    directory,
    standIn,
    run: (args, more = {}) =>
      run([...args, '-c', conf], {
        PATH: `${directory}:/usr/sbin:/usr/bin:/sbin:/bin`,
        HOME: directory,
        RUNTIME_DIRECTORY: join(directory, 'run'),
        ...env,
        ...more,
      }),
    systemdJobs: (...jobs) =>
      standIn(
        'systemctl',
        `[ "$1" = list-jobs ] || exit 64\ncat <<'END'\n${jobs.map((job, at) => `  ${at + 100} ${job} waiting`).join('\n')}\nEND`,
      ),
    runlevel: levels => {
      standIn('systemctl', 'echo "System has not been booted with systemd as init system" >&2; exit 1');
      standIn('runlevel', `echo '${levels}'`);
    },
  };
  host.systemdJobs();
  standIn('logger', `printf '%s\\n' "$*" >> "${directory}/log"`);
  return host;
}

function run(args: string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  return new Promise(resolve => {
    const child = spawn('sh', [script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const outcome: Outcome = { code: null, stdout: '', stderr: '' };
    child.stdout.on('data', chunk => (outcome.stdout += chunk));
    child.stderr.on('data', chunk => (outcome.stderr += chunk));
    child.once('close', code => resolve({ ...outcome, code }));
  });
}
