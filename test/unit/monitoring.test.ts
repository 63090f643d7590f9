import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ALERTS } from '../../src/domain/alert.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const rules = parse(read('monitoring/alerts.yaml')).groups[0].rules as {
  alert: string;
  annotations: { summary: string };
}[];
const runbook = read('docs/runbook.md');

describe('the runbook says what to do when', () => {
  test.each([...Object.keys(ALERTS), ...rules.map(rule => rule.alert)])('%s is raised', name => {
    expect(runbook).toContain(`\n### ${name}\n`);
  });

  test('and has no entry for an alert that does not exist', () => {
    const known = [...Object.keys(ALERTS), ...rules.map(rule => rule.alert)];
    const told = [...runbook.matchAll(/^### (\S+)$/gm)].map(([, name]) => name);
    expect(told.toSorted()).toEqual(known.toSorted());
  });
});

test('every panel of the dashboard asks for something, and no two stand on the same place', () => {
  const { panels } = JSON.parse(read('monitoring/dashboard.json'));
  const places = new Set(
    panels.map(({ gridPos: { x, y } }: { gridPos: { x: number; y: number } }) => `${x},${y}`),
  );
  expect(places.size).toBe(panels.length);
  for (const { title, targets } of panels)
    expect(
      targets.every(({ expr }: { expr: string }) => expr),
      title,
    ).toBe(true);
});
