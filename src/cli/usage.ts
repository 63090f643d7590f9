import {
  COMMANDS,
  type CommandName,
  type Options,
  optionsOf,
  SERVICE_COMMANDS,
  SETTINGS_COMMANDS,
} from './command-table.ts';

const PROGRAM = 'chef-deregistration-manager';
const EXIT_CODES =
  'exit codes: 0 done; 1 refused or failed; 2 wrong usage or settings; 3 a person must decide; 4 service not reached';

/** Of one command, or of all. */
export function usage(command?: CommandName): string {
  return [...(command ? usageOf(command) : overview()), '', EXIT_CODES].join('\n');
}

function usageOf(command: CommandName): string[] {
  const { operands, help } = COMMANDS[command];
  const line = ['usage:', PROGRAM, command, operands, '[options]'].filter(Boolean).join(' ');
  return [line, `  ${help}`, '', ...optionRows(optionsOf(command))];
}

function overview(): string[] {
  return [
    `usage: ${PROGRAM} COMMAND [options]`,
    '',
    'asked of a service that runs:',
    ...commandRows(Object.keys(SERVICE_COMMANDS) as CommandName[]),
    '',
    ...optionRows(optionsOf('health')),
    '',
    'with the service’s own settings:',
    ...commandRows(Object.keys(SETTINGS_COMMANDS) as CommandName[]),
    '',
    ...commandRows(['completion']),
    row('help COMMAND', 'show the help of one command'),
    row('--version', 'show the version'),
  ];
}

function commandRows(names: CommandName[]): string[] {
  return names.map(name => row(`${name} ${COMMANDS[name].operands}`, COMMANDS[name].help));
}

function optionRows(options: Options): string[] {
  return Object.entries(options).map(([name, { type, short, help }]) =>
    row(`${short ? `-${short}, ` : ''}--${name}${type === 'string' ? ' …' : ''}`, help),
  );
}

function row(name: string, help: string): string {
  return `  ${name.padEnd(22)} ${help}`;
}
