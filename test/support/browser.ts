import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const INSTALLED = '/usr/bin/chromium';
const folder = join(import.meta.dirname, '../../.parts/chromium');

/** Debian's Chromium without a window: the system's, or the one that set-up unpacked with its libraries. */
export function startBrowser(): Promise<Browser> {
  const installed = existsSync(INSTALLED);
  const libraries = globSync(
    ['usr/lib/*-linux-gnu*', 'usr/lib/*-linux-gnu*/pulseaudio', 'lib/*-linux-gnu*'],
    {
      cwd: folder,
    },
  ).map(path => join(folder, path));
  return chromium.launch({
    executablePath: installed ? INSTALLED : join(folder, 'usr/lib/chromium/chromium'),
    // It has a socket among its temporary files, whose path may not be longer than 107 bytes.
    env: { ...process.env, TMPDIR: '/tmp', ...(!installed && { LD_LIBRARY_PATH: libraries.join(':') }) },
    // As root there is no sandbox; the rest keeps it from asking hosts of its maker.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
