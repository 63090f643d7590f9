import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshDirectory, start } from '../../test/support/process.ts';
import { type ServiceProcess, testEnvironment } from '../../test/support/service.ts';

const serve = new URL('../../scripts/serve.sh', import.meta.url).pathname;

export type MeasuredService = Omit<ServiceProcess, 'output'>;

/** The service as `npm start` runs it; its log goes to a file, so that reading it costs nobody anything. */
export async function startMeasuredService(env: NodeJS.ProcessEnv): Promise<MeasuredService> {
  const file = join(freshDirectory('log'), 'service.log');
  writeFileSync(file, '');
  const log = () => readFileSync(file, 'utf8');
  const { child, stop } = await start('/bin/sh', {
    args: ['-c', 'exec sh "$0" >"$LOG_FILE" 2>&1', serve],
    env: { ...testEnvironment({ LOG_LEVEL: 'info' }), ...env, LOG_FILE: file },
    ready: async () => urlIn(log()) !== undefined,
  }).catch(error => {
    throw new Error(`the service did not start: ${log().slice(-2_000)}`, { cause: error });
  });
  return { child, stop, url: urlIn(log()) ?? '' };
}

function urlIn(log: string): string | undefined {
  return /"url":"(https?:[^"]+)","roles"/.exec(log)?.[1];
}
