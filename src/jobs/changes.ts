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

/** One connection for each watcher, since one that subscribes can do nothing else. */
export function changesIn(redis: Redis, prefix: string): WatchChanges {
  const channel = `${prefix}:changed`;
  return onChange => {
    const connection = redis.duplicate();
    // The connection of the commands tells its own failures, and this one comes back by itself.
    connection.on('error', () => {});
    connection.on('message', (_channel, id: string) =>
      onChange(id === 'trigger' ? { what: id } : { what: 'job', id }),
    );
    connection.on('ready', () => {
      connection.subscribe(channel).then(
        () => onChange({ what: 'anything' }),
        () => {},
      );
    });
    return () => connection.disconnect();
  };
}
