import { parseArgs } from 'node:util';
import { describe } from '../domain/errors.ts';
import { COMMANDS, type CommandName, optionsOf } from './command-table.ts';
import { CliError } from './error.ts';

export type Values = Record<string, string | boolean | string[] | undefined>;

export type Invocation =
  | { command: CommandName; operands: string[]; values: Values }
  /** What is asked about; undefined for everything. */
  | { command: 'help'; about: CommandName | undefined }
  | { command: 'version' };

/** @throws CliError `usage` */
export function readArguments(args: string[]): Invocation {
  const [first, about] = args;
  if (first === 'help' && about !== undefined && isCommand(about)) return { command: 'help', about };
  const at = args.findIndex(isCommand);
  const command = args[at];
  if (command === undefined || !isCommand(command)) {
    if (args.includes('--version')) return { command: 'version' };
    const asked = args.length === 0 || args.some(each => ['--help', '-h', 'help'].includes(each));
    if (asked) return { command: 'help', about: undefined };
    throw new CliError(
      'usage',
      `there is no command ${args.find(each => !each.startsWith('-')) ?? args[0]}; --help lists them`,
    );
  }
  const options = optionsOf(command);
  try {
    const { values, positionals: operands } = parseArgs({
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
    if (values['help']) return { command: 'help', about: command };
    return { command, operands, values: values as Values };
  } catch (error) {
    throw new CliError('usage', `${describe(error)}; ${command} --help tells more`);
  }
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}
