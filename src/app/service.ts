import { pino } from 'pino';
import type { Settings } from '../config.ts';
import { VERSION } from '../lib/version.ts';
import { openContext } from './context.ts';
import { drySettings } from './dry-run.ts';
import { startServers } from './servers.ts';
import { ShutdownStack } from './shutdown.ts';
import { startTrigger, startWork } from './workers.ts';

export interface Service {
  /** Where it answers. */
  url: string;
  /** Takes no more, finishes or returns what it holds, and closes everything. */
  close: (why: string) => Promise<void>;
}

/**
 * Builds everything, with the other files of this folder, which are the only places that do. Parts that cannot be reached do not
 * keep it from starting.
 * @throws SettingsError where settings that are right by themselves cannot be used; AppError where Redis would lose jobs
 */
export async function startService(given: Settings): Promise<Service> {
  const settings = given.DRY_RUN ? drySettings(given) : given;
  const log = pino(
    {
      level: settings.LOG_LEVEL,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    // What is logged while a write is under way goes in the next one; at exit the rest is written.
    pino.destination({ sync: false }),
  );
  const shutdown = new ShutdownStack(message => log.warn(message));
  try {
    const context = await openContext(settings, log, shutdown);
    if (settings.ROLES.has('trigger')) startTrigger(context);
    if (settings.ROLES.has('worker')) startWork(context);
    if (settings.DRY_RUN)
      log.warn('DRY_RUN is set: nothing is changed, each job tells what it would have done');
    const { url } = await startServers(context);
    // The last that is added is closed first.
    shutdown.add('Redis, if it is away', context.redis, redis => redis.giveUp());
    log.info({ url, roles: [...settings.ROLES], version: VERSION }, 'chef-deregistration-manager is up');
    return {
      url,
      async close(why) {
        log.info({ why }, 'stopping');
        await shutdown.close();
        log.info('stopped');
      },
    };
  } catch (error) {
    await shutdown.close();
    throw error;
  }
}
