#!/usr/bin/env node
import { describe } from '../domain/errors.ts';
import { VERSION } from '../lib/version.ts';
import { apiCaller, readApiOptions } from './api.ts';
import { readArguments } from './arguments.ts';
import { ASK } from './ask-service.ts';
import { isServiceCommand, type ServiceCommand } from './command-table.ts';
import { bashCompletion } from './completion.ts';
import { type Given, none, type Outcome } from './context.ts';
import type { HereCommand } from './do-here.ts';
import { CliError, EXIT_CODE } from './error.ts';
import { usage } from './usage.ts';

/** @returns the exit code; undefined while the service runs */
async function main(): Promise<number | undefined> {
  const invocation = readArguments(process.argv.slice(2));
  if (invocation.command === 'help') return say(usage(invocation.about));
  if (invocation.command === 'version') return say(VERSION);
  if (invocation.command === 'completion') return say(bashCompletion());
  const { command, operands, values } = invocation;
  const given = { operands, values, screen: process.stderr };
  if (command === 'serve') {
    none(given);
    await import('../main.ts');
    return undefined;
  }
  const { json, text, warning, exitCode = 0 } = await run(command, given);
  say(values['json'] ? JSON.stringify(json, null, 2) : text);
  if (warning) complain(warning);
  return exitCode;
}

async function run(command: ServiceCommand | HereCommand, given: Given): Promise<Outcome> {
  if (isServiceCommand(command)) {
    return ASK[command]({ ...given, api: apiCaller(readApiOptions(given.values, process.env)) });
  }
  // Only now: it brings all the clients along, for which no other command should wait.
  const { doHere } = await import('./do-here.ts');
  return doHere(command, given, process.env);
}

function say(text: string): number {
  process.stdout.write(`${text.replace(/\n$/, '')}\n`);
  return 0;
}

function complain(text: string): void {
  process.stderr.write(`chef-deregistration-manager: ${text}\n`);
}

/** Ends once stdout is written, even if something that was given up, such as a disk that hangs, would keep the process. */
function exit(code: number): void {
  process.stdout.write('', () => process.exit(code));
}

// A reader that has seen enough, `| head` for example, is not a fault.
process.stdout.on('error', () => process.exit(0));
try {
  const exitCode = await main();
  if (exitCode !== undefined) exit(exitCode);
} catch (error) {
  complain(error instanceof CliError ? error.message : describe(error));
  exit(error instanceof CliError ? EXIT_CODE[error.kind] : 1);
}
