import { createHash } from 'node:crypto';
import { type Service, startService } from '../../src/app/service.ts';
import { readSettings } from '../../src/config.ts';
import { freshDirectory, type Running, start } from './process.ts';

/** The token of every service that tests start. */
export const TOKEN = 'token-of-the-tests-0123456789';

/** Settings of a service for tests: on a free port, quiet, its keys and files apart from every other's. */
export function testEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const directory = freshDirectory('service');
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 12);
  return {
    PORT: '0',
    LOG_LEVEL: 'silent',
    API_TOKENS: `tests:${TOKEN}`,
    REDIS_PREFIX: `{${name}}`,
    ARCHIVE_URL: `file://${directory}/archive`,
    CHEF_CLIENT_COMMAND: `/bin/sh ${chefClientStandIn} ${directory}/chef-client.log`,
    TRIGGER_SETTLE_SECONDS: '0',
    PROVISION: 'false',
    ...env,
  };
}

const chefClientStandIn = new URL('chef-client.sh', import.meta.url).pathname;

/** The service in this process. */
export function startTestService(env: NodeJS.ProcessEnv): Promise<Service> {
  return startService(readSettings(testEnvironment(env)));
}

export interface ServiceProcess extends Running {
  url: string;
}

const main = new URL('../../src/main.ts', import.meta.url).pathname;

/**
 * The service as `npm start` runs it, to be killed.
 * @param within words before those of its command, which run it elsewhere
 */
export async function startServiceProcess(
  env: NodeJS.ProcessEnv,
  within: string[] = [],
): Promise<ServiceProcess> {
  const [program = '', ...args] = [...within, process.execPath, main];
  const running = await start(program, {
    args,
    env: { ...testEnvironment({ LOG_LEVEL: 'info' }), ...env },
    ready: /"url":"http/,
  });
  const url = /"url":"(https?:[^"]+)"/.exec(running.output())?.[1] ?? '';
  return { ...running, url };
}
