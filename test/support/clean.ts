import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freshDirectory, runFolder } from './process.ts';

/**
 * What the parts of earlier runs wrote is gone; what belongs to a process that lives (the demo, say) stays. All workers
 * of this run, and what they start, have one folder for temporary files among it: locks are there, too.
 */
export function setup(): void {
  for (const name of existing()) {
    const owner = Number(/-(\d+)-[^-]+$/.exec(name)?.[1]);
    if (!lives(owner)) rmSync(join(runFolder, name), { recursive: true, force: true });
  }
  process.env['TMPDIR'] = freshDirectory('tmp');
  delete process.env['RUNTIME_DIRECTORY'];
  delete process.env['XDG_RUNTIME_DIR'];
}

function existing(): string[] {
  try {
    return readdirSync(runFolder);
  } catch {
    return [];
  }
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
