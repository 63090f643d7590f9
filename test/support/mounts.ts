import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { start } from './process.ts';

const exec = promisify(execFile);

/** A mount namespace: what is mounted there is seen only by what runs there, and gone when it is closed. */
export interface Mounts {
  /** Before the words of a command, these run it there. */
  within: string[];
  /** Runs a shell script there. */
  run: (script: string) => Promise<void>;
  /** Where a path there lies for this process. */
  path: (path: string) => string;
  close: () => Promise<void>;
}

/** As root, or by a user namespace where those are allowed. */
const WAYS = [
  { unshare: ['--mount', '--propagation=private'], enter: ['--mount'] },
  {
    unshare: ['--user', '--map-root-user', '--mount', '--propagation=private'],
    enter: ['--user', '--preserve-credentials', '--mount'],
  },
];
const way = WAYS.find(
  ({ unshare }) => spawnSync('unshare', [...unshare, 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp']).status === 0,
);

/** Why there are no mounts of one's own here; undefined where there are. */
export const noMounts = way ? undefined : 'needs root or user namespaces, to mount a file system';

/** @param script what mounts there, as root of the namespace */
export async function openMounts(script: string): Promise<Mounts> {
  if (!way) throw new Error(noMounts);
  const holder = await start('unshare', {
    args: [...way.unshare, 'sh', '-ec', `${script}\necho mounted\nexec sleep infinity`],
    ready: /mounted/,
  });
  const enter = ['--target', String(holder.child.pid), ...way.enter];
  return {
    within: ['nsenter', ...enter],
    run: async commands => void (await exec('nsenter', [...enter, 'sh', '-ec', commands])),
    path: inside => join(`/proc/${holder.child.pid}/root`, inside),
    close: () => holder.stop(),
  };
}
