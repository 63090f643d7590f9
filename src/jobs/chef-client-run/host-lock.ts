import { createHash } from 'node:crypto';
import { closeSync, fstatSync, lstatSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, SettingsError } from '../../domain/errors.ts';

/**
 * A directory for lock files in which no other user can make or replace one: `$RUNTIME_DIRECTORY` (systemd's), else
 * `$XDG_RUNTIME_DIR`, else one of this user's under the folder for temporary files.
 * @throws SettingsError if there is none
 */
export function lockDirectory(env: NodeJS.ProcessEnv = process.env): string {
  // systemd separates several by colons.
  const given = [env['RUNTIME_DIRECTORY']?.split(':')[0], env['XDG_RUNTIME_DIR']].filter(path => path);
  for (const path of given) if (path && isPrivate(path, statSync)) return path;

  const own = join(tmpdir(), `chef-deregistration-${process.getuid?.()}`);
  try {
    mkdirSync(own, { recursive: true, mode: 0o700 });
    // Not the target of a link, which another user could change later.
    if (isPrivate(own, lstatSync)) return own;
    throw new Error('another user owns it or may write to it');
  } catch (error) {
    throw new SettingsError([
      `XDG_RUNTIME_DIR: not set to a directory of this user, and ${own} cannot be used for lock files (${describe(error)}): set it, or remove ${own}`,
    ]);
  }
}

export interface HostLock {
  path: string;
  /** The same for two processes only if they see the same lock. */
  identity: string;
}

/**
 * The lock of a command, whose file is made if it is not there; one for each command, since another installation on this
 * host may run another. It is distinguished from the locks of other hosts by the id of this boot and the file's inode:
 * neither is reused while a run holds the lock, and they are not copied with an image, as host names are.
 */
export function hostLock(command: readonly string[], directory: string): HostLock {
  const name = createHash('sha256').update(JSON.stringify(command)).digest('hex').slice(0, 16);
  const path = join(directory, `chef-client-${name}.lock`);
  // A user who can open it, even to read, can hold the lock; flock(1) would let everybody read it.
  const file = openSync(path, 'a', 0o600);
  const { dev, ino } = fstatSync(file, { bigint: true });
  closeSync(file);
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return { path, identity: `${boot}:${dev}:${ino}` };
}

function isPrivate(path: string, look: typeof statSync): boolean {
  const found = look(path, { throwIfNoEntry: false });
  return Boolean(found?.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0);
}
