import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { libraries, unpacked } from '../parts/process.ts';

const root = new URL('../../', import.meta.url).pathname;
const SCRIPTS = [
  'host/chef-registration-init',
  'host/chef-registration.init',
  'packaging/build.sh',
  'packaging/chef-deregistration-manager',
  'packaging/run-chef-client',
];

test.each(SCRIPTS)('shellcheck finds nothing in %s', script => {
  const env = { ...process.env, LD_LIBRARY_PATH: libraries };
  execFileSync(unpacked('usr/bin/shellcheck'), ['--shell=sh', script], { cwd: root, env, stdio: 'pipe' });
});

test('the host’s program stays under 300 lines', () => {
  const lines = readFileSync(join(root, 'host/chef-registration-init'), 'utf8').split('\n').length;
  expect(lines).toBeLessThan(300);
});
