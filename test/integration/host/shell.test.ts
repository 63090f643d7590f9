import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { libraries, unpacked } from '../../support/process.ts';

const root = new URL('../../../', import.meta.url).pathname;
const isScript = (path: string) => readFileSync(join(root, path), 'utf8').startsWith('#!/bin/sh\n');
const SCRIPTS = globSync(['host/*', 'packaging/**/*', 'scripts/*', 'test/support/*'], {
  cwd: root,
  withFileTypes: true,
})
  .filter(found => found.isFile())
  .map(found => relative(root, join(found.parentPath, found.name)))
  .filter(isScript);

test.each(SCRIPTS)('shellcheck finds nothing in %s', script => {
  const env = { ...process.env, LD_LIBRARY_PATH: libraries };
  execFileSync(unpacked('usr/bin/shellcheck'), ['--shell=sh', script], { cwd: root, env, stdio: 'pipe' });
});

test('the host’s program stays under 300 lines', () => {
  const lines = readFileSync(join(root, 'host/chef-registration-init'), 'utf8').split('\n').length;
  expect(lines).toBeLessThan(300);
});
