import { startService } from './app/service.ts';
import { readSettings, type Settings } from './config.ts';
import { describe, SettingsError } from './domain/errors.ts';

const STOP_LIMIT_MS = 30_000;

async function serve(settings: Settings): Promise<void> {
  const service = await startService(settings);
  const stop = (signal: string) => {
    // A second signal ends the process at once, and so does a stop that hangs.
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => process.exit(1));
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
    service.close(signal).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
}

try {
  await serve(readSettings(process.env));
} catch (error) {
  const said = error instanceof SettingsError ? error.message : describe(error);
  process.stderr.write(`chef-deregistration-manager: ${said}\n`);
  process.exit(error instanceof SettingsError ? 2 : 1);
}
