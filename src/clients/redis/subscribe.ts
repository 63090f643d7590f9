import type { Redis } from 'ioredis';

/** What changed in Redis, whichever process changed it. */
export type Change =
  | { what: 'job'; id: string }
  /** A chef-client run began or ended. */
  | { what: 'trigger' }
  /** Changes may have been missed: the connection is new. */
  | { what: 'anything' };

/** Tells of changes until the function it gives back is called. */
export type WatchChanges = (onChange: (change: Change) => void) => () => void;

export function changesIn(redis: Redis, prefix: string): WatchChanges {
  return onChange =>
    listen(redis, `${prefix}:changed`, {
      onMessage: id => onChange(id === 'trigger' ? { what: id } : { what: 'job', id }),
      onMissed: () => onChange({ what: 'anything' }),
    });
}

/**
 * One connection for each listener, since one that subscribes can do nothing else.
 * @param onMissed messages may have been missed: the connection is new
 * @returns ends it
 */
export function listen(
  redis: Redis,
  channel: string,
  { onMessage, onMissed }: { onMessage: (message: string) => void; onMissed: () => void },
): () => void {
  const connection = redis.duplicate();
  // The connection of the commands tells its own failures, and this one comes back by itself.
  connection.on('error', () => {});
  connection.on('message', (_channel, message: string) => onMessage(message));
  connection.on('ready', () => {
    connection.subscribe(channel).then(onMissed, () => {});
  });
  return () => connection.disconnect();
}
