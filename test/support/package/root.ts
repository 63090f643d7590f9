import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { openMounts } from '../mounts.ts';
import { freshDirectory, type Running, type StartOptions, start } from '../process.ts';

const exec = promisify(execFile);

/** This machine's own Debian, seen through an overlay: what is installed or written there is gone when it is closed. */
export interface Root {
  /** Runs a program there as root; its stdout. Rejects with its output where it fails. */
  run: (program: string, ...args: string[]) => Promise<string>;
  start: (program: string, args: string[], ready: StartOptions['ready']) => Promise<Running>;
  /** Where a file of its lies for this process. */
  path: (path: string) => string;
  close: () => Promise<void>;
}

/** Needs root, for a mount namespace of its own. */
export async function openRoot(): Promise<Root> {
  const mounts = freshDirectory('root');
  const merged = join(mounts, 'merged');
  const mounted = await openMounts(`mount -t tmpfs tmpfs ${mounts}
mkdir ${mounts}/upper ${mounts}/work ${merged}
mount -t overlay overlay -o lowerdir=/,upperdir=${mounts}/upper,workdir=${mounts}/work ${merged}
mount --bind /proc ${merged}/proc
mount --rbind /dev ${merged}/dev
mount -t tmpfs tmpfs ${merged}/run
mkdir ${merged}/run/lock`);
  const [enter = '', ...within] = [...mounted.within, 'chroot', merged];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
  const path = (inside: string) => {
    const outside = mounted.path(join(merged, inside));
    mkdirSync(dirname(outside), { recursive: true });
    return outside;
  };
  return {
    path,
    run: async (program, ...args) => {
      try {
        return (await exec(enter, [...within, program, ...args], { env, maxBuffer: 1e8 })).stdout;
      } catch (error) {
        const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
        throw new Error(`${program} ${args.join(' ')} failed: ${stdout}${stderr}`, { cause: error });
      }
    },
    start: (program, args, ready) =>
      start(enter, { args: [...within, 'env', '-i', `PATH=${env.PATH}`, program, ...args], ready }),
    close: mounted.close,
  };
}
