import { check } from '../app/check.ts';
import { readSettings, type Settings } from '../config.ts';
import { SettingsError } from '../domain/errors.ts';
import type { SettingsCommand } from './command-table.ts';
import { type Given, none, type Outcome } from './context.ts';
import { CliError } from './error.ts';
import { sweepHere } from './sweep.ts';
import { columns } from './table.ts';

/** Those that come to an end. */
export type HereCommand = Exclude<SettingsCommand, 'serve'>;

const DO: Record<HereCommand, (given: Given, settings: Settings) => Promise<Outcome>> = {
  async check(_given, settings) {
    const findings = await check(settings);
    const rows = findings.map(({ part, state, note = '' }) => [state, part, note]);
    const isWell = findings.every(({ state }) => state !== 'fault');
    return { json: findings, text: columns(rows), exitCode: isWell ? 0 : 1 };
  },
  sweep: sweepHere,
};

/**
 * What needs no service that runs, but its settings.
 * @throws CliError `usage` for settings that cannot be used
 */
export async function doHere(command: HereCommand, given: Given, env: NodeJS.ProcessEnv): Promise<Outcome> {
  none(given);
  try {
    return await DO[command](given, readSettings(env));
  } catch (error) {
    if (error instanceof SettingsError) throw new CliError('usage', error.message);
    throw error;
  }
}
