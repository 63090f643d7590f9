import { parseArgs } from 'node:util';
import { CliError } from './error.ts';

type Options = Record<
  string,
  { type: 'string' | 'boolean'; short?: string; help: string; values?: readonly string[] }
>;

const KINDS = ['delete', 'ensure', 'downtime'];
const STATES = ['queued', 'running', 'retrying', 'held', 'done', 'failed'];

const GLOBAL: Options = {
  url: {
    type: 'string',
    help: 'address of the service; else CHEF_DEREGISTRATION_URL, else http://127.0.0.1:3000',
  },
  'token-file': {
    type: 'string',
    help: 'file with the token; else CHEF_DEREGISTRATION_TOKEN_FILE or …_TOKEN',
  },
  json: { type: 'boolean', help: 'what the API says, for programs' },
  help: { type: 'boolean', short: 'h', help: 'this' },
};
const WAIT: Options = {
  wait: { type: 'boolean', short: 'w', help: 'wait until the jobs have ended, and show their steps' },
};
const FILTER: Options = {
  kind: { type: 'string', help: KINDS.join(', '), values: KINDS },
  node: { type: 'string', help: 'name of a node' },
  instance: { type: 'string', help: 'id of an instance' },
};
const MANY: Options = {
  all: { type: 'boolean', help: 'all that the filter lets through' },
  ...FILTER,
  ...WAIT,
};
const LIMIT: Options = { limit: { type: 'string', help: 'at most so many, 50 unless told' } };

interface Command {
  operands: string;
  help: string;
  options: Options;
}

/** Every command; usage and completion are made from it. */
export const COMMANDS = {
  delete: {
    operands: 'NODE',
    help: 'downtime, archive, and removal from Chef',
    options: {
      instance: { type: 'string', help: 'the instance that it must be' },
      'nagios-host': { type: 'string', help: 'where Nagios knows it by another name' },
      reason: { type: 'string', help: 'kept in the job' },
      ...WAIT,
    },
  },
  ensure: {
    operands: 'NODE',
    help: 'restore what a deletion removed',
    options: {
      archive: { type: 'string', help: 'id of the archive; the newest of the node unless told' },
      'run-list': { type: 'string', help: 'comma-separated, where no archive has the node' },
      environment: { type: 'string', help: 'goes with --run-list' },
      reason: { type: 'string', help: 'kept in the job' },
      ...WAIT,
    },
  },
  jobs: {
    operands: '',
    help: 'jobs, newest first',
    options: { ...FILTER, state: { type: 'string', help: STATES.join(', '), values: STATES }, ...LIMIT },
  },
  job: { operands: 'ID', help: 'one job with its steps', options: WAIT },
  approve: { operands: 'ID… | --all', help: 'let held jobs go on', options: MANY },
  discard: { operands: 'ID… | --all', help: 'give held jobs up', options: MANY },
  retry: { operands: 'ID… | --all', help: 'run failed jobs again', options: MANY },
  archives: {
    operands: '[ID]',
    help: 'what was saved before deletions; with an id, all of it as JSON',
    options: { node: { type: 'string', help: 'name of a node' }, ...LIMIT },
  },
  trigger: { operands: '', help: 'the chef-client run after the last deletion', options: {} },
  health: { operands: '', help: 'whether the service and what it needs can be reached', options: {} },
  completion: {
    operands: '',
    help: 'bash completion: source <(chef-deregistration-manager completion)',
    options: {},
  },
} satisfies Record<string, Command>;
export type CommandName = keyof typeof COMMANDS;

export interface Invocation {
  command: CommandName | 'help';
  operands: string[];
  values: Record<string, string | boolean | undefined>;
}

/** All options of a command, the global ones after its own. */
export function optionsOf(command: CommandName): Options {
  return { ...COMMANDS[command].options, ...GLOBAL };
}

/** @throws CliError with exit code 2 */
export function readArguments(args: string[]): Invocation {
  const at = args.findIndex(each => Object.hasOwn(COMMANDS, each));
  const command = args[at] as CommandName | undefined;
  if (command === undefined) {
    const asked = args.length === 0 || args.some(each => ['--help', '-h', 'help'].includes(each));
    if (asked) return { command: 'help', operands: [], values: {} };
    throw new CliError(
      'usage',
      `there is no command ${args.find(each => !each.startsWith('-')) ?? args[0]}; --help lists them`,
    );
  }
  const options = optionsOf(command);
  try {
    const { values, positionals } = parseArgs({
      args: args.toSpliced(at, 1),
      options,
      allowPositionals: true,
    });
    for (const [name, { values: allowed }] of Object.entries(options)) {
      const value = values[name];
      if (allowed && typeof value === 'string' && !allowed.includes(value)) {
        throw new Error(`--${name} is one of ${allowed.join(', ')}, not ${value}`);
      }
    }
    if (values['help']) return { command: 'help', operands: [command], values: {} };
    return { command, operands: positionals, values: values as Invocation['values'] };
  } catch (error) {
    throw new CliError(
      'usage',
      `${error instanceof Error ? error.message : error}; ${command} --help tells more`,
    );
  }
}

export function usage(command?: string): string {
  const program = 'chef-deregistration-manager';
  if (command && Object.hasOwn(COMMANDS, command)) {
    const { operands, help } = COMMANDS[command as CommandName];
    return [
      `usage: ${program} ${command} ${operands} [options]`,
      `  ${help}`,
      '',
      ...rows(optionsOf(command as CommandName)),
    ].join('\n');
  }
  const commands = Object.entries(COMMANDS).map(
    ([name, { operands, help }]) => `  ${`${name} ${operands}`.padEnd(22)} ${help}`,
  );
  return [`usage: ${program} COMMAND [options]`, ...commands, '', ...rows(GLOBAL), '', EXIT_CODES].join('\n');
}

const EXIT_CODES = `exit codes: 0 done; 1 refused, or a job failed; 2 wrong usage; 3 a job is held for a person; 4 service not reached`;

function rows(options: Options): string[] {
  return Object.entries(options).map(([name, { type, short, help }]) => {
    const flag = `${short ? `-${short}, ` : ''}--${name}${type === 'string' ? ' …' : ''}`;
    return `  ${flag.padEnd(22)} ${help}`;
  });
}
