import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const pages = ['README.md', ...readdirSync(`${ROOT}/docs`).map(name => `docs/${name}`)].filter(path =>
  path.endsWith('.md'),
);

test.each(pages)('each file that %s names is there', page => {
  const text = readFileSync(`${ROOT}/${page}`, 'utf8');
  const named = [...text.matchAll(/`((?:test|src|docs|iam|monitoring|host|packaging)\/[\w./-]+\.\w+)`/g)];
  const missing = named.map(([, path = '']) => path).filter(path => !existsSync(`${ROOT}/${path}`));
  expect(missing).toEqual([]);
});
