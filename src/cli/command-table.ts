export type Options = Record<
  string,
  {
    type: 'string' | 'boolean';
    short?: string;
    /** May be given several times. */
    multiple?: boolean;
    help: string;
    /** The words that it takes. */
    values?: readonly string[];
    /** Whether it takes the path of a file. */
    isPath?: boolean;
  }
>;

const KINDS = ['delete', 'ensure', 'downtime'];
const STATES = ['queued', 'running', 'retrying', 'held', 'done', 'failed', 'discarded'];

const SERVICE: Options = {
  url: {
    type: 'string',
    help: 'address of the service; else CHEF_DEREGISTRATION_URL, else http://127.0.0.1:3000',
  },
  'token-file': {
    type: 'string',
    help: 'file with the token; else CHEF_DEREGISTRATION_TOKEN_FILE or …_TOKEN',
    isPath: true,
  },
};
const JSON_OUTPUT: Options = { json: { type: 'boolean', help: 'for programs' } };
const HELP: Options = { help: { type: 'boolean', short: 'h', help: 'this' } };
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
const HELD_FOR: Options = {
  reason: {
    type: 'string',
    help: 'with --all: only jobs that are held for just this reason, such as over-budget',
  },
};
const LIMIT: Options = { limit: { type: 'string', help: 'at most so many, 50 by default' } };

interface Command {
  operands: string;
  help: string;
  options: Options;
}

/** Asked of a service that runs, through its API. */
export const SERVICE_COMMANDS = {
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
      archive: { type: 'string', help: 'id of the archive; the newest of the node by default' },
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
  approve: {
    operands: 'ID… | --all --reason CODE',
    help: 'let held jobs go on',
    options: { ...MANY, ...HELD_FOR },
  },
  discard: { operands: 'ID… | --all', help: 'give held jobs up', options: { ...MANY, ...HELD_FOR } },
  retry: { operands: 'ID… | --all', help: 'run failed jobs again', options: MANY },
  archives: {
    operands: '[ID]',
    help: 'what was saved before deletions; with an id, all of it as JSON',
    options: { node: { type: 'string', help: 'name of a node' }, ...LIMIT },
  },
  trigger: { operands: '', help: 'the chef-client run after the last deletion', options: {} },
  health: { operands: '', help: 'whether the service and what it needs can be reached', options: {} },
} satisfies Record<string, Command>;
export type ServiceCommand = keyof typeof SERVICE_COMMANDS;

/** Done by this process, with the service's own settings. */
export const SETTINGS_COMMANDS = {
  serve: { operands: '', help: 'run the service', options: {} },
  check: { operands: '', help: 'whether all that the settings name is there', options: JSON_OUTPUT },
  sweep: {
    operands: '',
    help: 'list orphaned nodes (Chef nodes whose EC2 instance has ended), longest unseen first',
    options: {
      living: {
        type: 'string',
        help: 'file (- for standard input) with the ids of all living instances, instead of asking EC2',
        isPath: true,
      },
      region: {
        type: 'string',
        multiple: true,
        help: 'region to ask EC2 in, repeatable (default AWS_REGION)',
      },
      apply: {
        type: 'boolean',
        help: 'hand each orphaned node to the service for deletion, with all its guards (default: change nothing)',
      },
      'most-are-dead': {
        type: 'boolean',
        help: 'apply even if no instance lives, or more than half of all nodes are orphaned',
      },
      ...JSON_OUTPUT,
    },
  },
} satisfies Record<string, Command>;
export type SettingsCommand = keyof typeof SETTINGS_COMMANDS;

/** Every command; usage and completion are made from it. */
export const COMMANDS = {
  ...SERVICE_COMMANDS,
  ...SETTINGS_COMMANDS,
  completion: {
    operands: '',
    help: 'bash completion: source <(chef-deregistration-manager completion)',
    options: {},
  },
} satisfies Record<string, Command>;
export type CommandName = keyof typeof COMMANDS;

/** All options of a command, those of many commands after its own. */
export function optionsOf(command: CommandName): Options {
  const { options } = COMMANDS[command];
  return { ...options, ...(isServiceCommand(command) && { ...SERVICE, ...JSON_OUTPUT }), ...HELP };
}

export function isServiceCommand(command: CommandName): command is ServiceCommand {
  return Object.hasOwn(SERVICE_COMMANDS, command);
}
