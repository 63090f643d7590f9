import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostLock, lockDirectory } from '../../../../src/jobs/chef-client-run/host-lock.ts';
import { freshDirectory } from '../../../support/process.ts';

const UID = process.getuid?.();
const isRoot = UID === 0;
const { TMPDIR } = process.env;
let given: string;
/** In place of the folder for temporary files, which everybody may write to. */
let temporary: string;
let own: string;

beforeEach(() => {
  given = freshDirectory('locks');
  temporary = freshDirectory('tmp');
  chmodSync(temporary, 0o1777);
  own = join(temporary, `chef-deregistration-${UID}`);
  process.env['TMPDIR'] = temporary;
});
afterEach(() => {
  process.env['TMPDIR'] = TMPDIR;
});

describe('the directory for the lock', () => {
  test('is systemd’s, the first of several, before that of the user’s session', () => {
    expect(lockDirectory({ RUNTIME_DIRECTORY: given, XDG_RUNTIME_DIR: temporary })).toBe(given);
    expect(lockDirectory({ RUNTIME_DIRECTORY: `${given}:${temporary}` })).toBe(given);
    expect(lockDirectory({ XDG_RUNTIME_DIR: given })).toBe(given);
  });

  test('is otherwise made for this user alone', () => {
    expect(tmpdir()).toBe(temporary);
    expect(lockDirectory({})).toBe(own);
    expect(statSync(own).mode & 0o777).toBe(0o700);
    expect(lockDirectory({}), 'and found again').toBe(own);
  });

  test.each(['770', '707', '1777'])('is not one of mode %s, in which others can make files', mode => {
    chmodSync(given, mode);
    expect(lockDirectory({ RUNTIME_DIRECTORY: given, XDG_RUNTIME_DIR: given })).toBe(own);
  });

  test('is not one that is not there', () => {
    expect(lockDirectory({ XDG_RUNTIME_DIR: join(given, 'gone') })).toBe(own);
  });

  test.skipIf(!isRoot)('is not one of another user, as sudo may leave it in the environment', () => {
    execFileSync('chown', ['nobody', given]);
    expect(lockDirectory({ XDG_RUNTIME_DIR: given })).toBe(own);
  });

  test.each([
    ['lets others write', () => execFileSync('mkdir', ['-m', '777', own])],
    ['is a link, even to a directory of this user', () => symlinkSync(given, own)],
    ['is a file', () => execFileSync('touch', [own])],
  ])('is refused, with what to do, if the one under the folder for temporary files %s', (_, make) => {
    make();
    expect(() => lockDirectory({})).toThrow(/XDG_RUNTIME_DIR: .*set it, or remove .*\/chef-deregistration-/);
    rmSync(own, { recursive: true });
    expect(lockDirectory({}), 'and used once that is removed, as the message says').toBe(own);
  });

  test.skipIf(!isRoot)('is refused if another user made it first', () => {
    mkdirSync(own, { mode: 0o700 });
    execFileSync('chown', ['nobody', own]);
    expect(() => lockDirectory({})).toThrow(/another user owns it/);
  });
});

describe('the lock file', () => {
  test('can be opened by this user only, whatever the umask', () => {
    const before = process.umask(0);
    try {
      expect(statSync(hostLock(['chef-client'], given).path).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  test('is another one for another command, and the same for the same', () => {
    const lock = hostLock(['chef-client'], given);
    expect(hostLock(['chef-client'], given)).toEqual(lock);
    for (const other of [
      hostLock(['chef-client', '-o'], given),
      hostLock(['chef-client'], mkdtempSync(`${given}/`)),
    ]) {
      expect(other.path).not.toBe(lock.path);
      expect(other.identity).not.toBe(lock.identity);
    }
  });

  test('is another one if it was removed while a run holds it', () => {
    const lock = hostLock(['chef-client'], given);
    const held = openSync(lock.path, 'r');
    rmSync(lock.path);
    expect(hostLock(['chef-client'], given).identity).not.toBe(lock.identity);
    closeSync(held);
  });

  test.skipIf(!isRoot)('cannot be held by another user', () => {
    // A path that everybody may follow to its end.
    const open = mkdtempSync('/tmp/locks-');
    chmodSync(open, 0o755);
    const lock = hostLock(['chef-client'], open).path;
    const hold = () =>
      execFileSync('setpriv', ['--reuid=nobody', '--clear-groups', 'flock', '--nonblock', lock, 'true'], {
        stdio: 'pipe',
      });
    expect(hold).toThrow(/Permission denied/);
    chmodSync(lock, 0o644);
    hold();
    rmSync(open, { recursive: true });
  });
});
