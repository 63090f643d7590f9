import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(`${ROOT}/${path}`, 'utf8');
const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT });
const { version, scripts } = JSON.parse(read('package.json')) as {
  version: string;
  scripts: Record<string, string>;
};

test.each(pages)('each file that %s names is there', page => {
  const text = read(page);
  const named = [...text.matchAll(/`((?:test|src|docs|iam|monitoring|host|packaging)\/[\w./-]+\.\w+)`/g)];
  const missing = named.map(([, path = '']) => path).filter(path => !existsSync(`${ROOT}/${path}`));
  expect(missing).toEqual([]);
});

test.each(pages)('each link of %s leads to a page and a heading that exist', page => {
  const links = [...read(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)];
  const broken = links.filter(([, path = '', anchor]) => {
    const target = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(ROOT, target))) return true;
    return anchor !== undefined && !anchorsOf(read(target)).includes(anchor);
  });
  expect(broken.map(([link]) => link)).toEqual([]);
});

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test.each(pages)('each npm script that %s names is one of package.json', page => {
  const named = [...read(page).matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, name = '']) => name);
  expect(named.filter(name => !(name in scripts))).toEqual([]);
});

test('the README has at most 200 lines', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(201);
});

test('each alert rule leads to its heading in the runbook', () => {
  const anchors = [...read('monitoring/alerts.yaml').matchAll(/runbook_url: docs\/runbook\.md#(\S+)/g)].map(
    ([, anchor = '']) => anchor,
  );
  expect(anchors.length).toBeGreaterThan(10);
  expect(anchors.filter(anchor => !anchorsOf(read('docs/runbook.md')).includes(anchor))).toEqual([]);
});

test('package.json, the API’s contract and the changelog tell one version', () => {
  expect(read('openapi.yaml')).toContain(`\n  version: ${version}\n`);
  expect(read('CHANGELOG.md')).toContain(`\n## ${version}\n`);
});
