#!/usr/bin/env node
import { describe } from '../errors.ts';
import { apiCaller, readApiOptions } from './api.ts';
import { readArguments, usage } from './arguments.ts';
import { RUN } from './commands.ts';
import { bashCompletion } from './completion.ts';
import { CliError, EXIT_CODE } from './error.ts';

async function main(): Promise<number> {
  const { command, operands, values } = readArguments(process.argv.slice(2));
  if (command === 'help') return say(usage(operands[0]));
  if (command === 'completion') return say(bashCompletion());
  const api = apiCaller(readApiOptions(values, process.env));
  const { json, text, exitCode = 0 } = await RUN[command]({ api, operands, values, screen: process.stderr });
  say(values['json'] ? JSON.stringify(json, null, 2) : text);
  return exitCode;
}

function say(text: string): number {
  process.stdout.write(`${text.replace(/\n$/, '')}\n`);
  return 0;
}

// A reader that has seen enough, `| head` for example, is no fault.
process.stdout.on('error', () => process.exit(0));
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`chef-deregistration-manager: ${describe(error)}\n`);
  process.exitCode = error instanceof CliError ? EXIT_CODE[error.kind] : 1;
}
