import { expect, test } from 'vitest';
import { ByRegion } from '../../../../src/clients/aws/connection.ts';

function clients() {
  const made: (string | undefined)[] = [];
  const destroyed: (string | undefined)[] = [];
  const byRegion = new ByRegion(region => {
    made.push(region);
    return { region, destroy: () => void destroyed.push(region) };
  });
  return { byRegion, made, destroyed };
}

test('each region has one client, and what is not the name of a region has the configured one', () => {
  const { byRegion, made } = clients();
  for (const region of ['eu-west-1', 'eu-west-1', undefined, 'moon', '', 'x.example.com/']) {
    byRegion.in(region);
  }
  expect(made).toEqual(['eu-west-1', undefined]);
});

test('names of regions that somebody made up do not pile up clients', () => {
  const { byRegion, made, destroyed } = clients();
  for (let at = 0; at < 1_000; at++) {
    byRegion.in('eu-west-1');
    byRegion.in(`${String.fromCharCode(97 + (at % 26)).repeat(2)}-${'xyz'.repeat((at % 3) + 1)}-${at % 100}`);
  }
  expect(made.length - destroyed.length).toBeLessThanOrEqual(64);
  // The one that is in use stays.
  expect(destroyed).not.toContain('eu-west-1');
});
