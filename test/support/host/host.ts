import { spawn } from 'node:child_process';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshDirectory } from '../process.ts';

const script = new URL('../../../host/chef-registration-init', import.meta.url).pathname;

export interface HostOptions {
  /** PEM of its Chef client. */
  key: string;
  /** `node_name` of its client.rb; none where undefined. */
  node?: string;
  /** Of client.conf. */
  settings?: Record<string, string>;
  env?: NodeJS.ProcessEnv;
  /** Path of the program that is `sh` there. @default the system's own */
  shell?: string;
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
  /** Runs it without any argument, its settings file neither. */
  runAlone: () => Promise<Outcome>;
  /** Puts a program of this name, a body of sh, before the system's own in PATH. */
  standIn: (name: string, body: string) => void;
  /** What `systemctl list-jobs` says from now on; a line for each job, `unit type`. */
  systemdJobs: (...jobs: string[]) => void;
  /** A host without systemd: what runlevel says from now on. */
  runlevel: (levels: string) => void;
}

/** A folder that is a host: client.rb, key, settings, and the programs that tell how the machine is leaving. */
export function makeHost({ key, node, settings = {}, env = {}, shell }: HostOptions): Host {
  const directory = freshDirectory('host');
  const put = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  if (shell) symlinkSync(shell, join(directory, 'sh'));
  const clientKey = put('client.pem', key);
  const clientRb = put(
    'client.rb',
    `chef_server_url 'https://chef.example.com'\n${node ? `node_name '${node}' # its name\n` : ''}client_key "${clientKey}"\n`,
  );
  const lines = Object.entries({ CLIENT_RB: clientRb, ...settings }).map(
    ([name, value]) => `${name}=${value}\n`,
  );
  const conf = put('client.conf', `# settings\n\n${lines.join('')}`);
  const standIn = (name: string, body: string) => chmodSync(put(name, `#!/bin/sh\n${body}\n`), 0o755);
  const all = {
    PATH: `${directory}:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: directory,
    RUNTIME_DIRECTORY: join(directory, 'run'),
    ...env,
  };
  const host: Host = {
    directory,
    standIn,
    run: (args, more = {}) => run([...args, '-c', conf], { ...all, ...more }),
    runAlone: () => run([], all),
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
