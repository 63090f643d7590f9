import { Redis } from 'ioredis';
import type { RedisServer } from './redis.ts';

const PASSWORD = 'made-up';

/** Gives a user of this Redis rights, besides those that it has. @returns the URL by which the user comes in */
export async function allowUser(redis: RedisServer, user: string, ...rules: string[]): Promise<string> {
  await order(redis, 'ACL', 'SETUSER', user, 'on', `>${PASSWORD}`, ...rules);
  return redis.url.replace('//', `//${user}:${PASSWORD}@`);
}

/** Has Redis do something, as its administrator. */
export async function order({ url }: RedisServer, command: string, ...args: string[]): Promise<unknown> {
  const admin = new Redis(url);
  admin.on('error', () => {});
  return admin.call(command, ...args).finally(() => admin.disconnect());
}
