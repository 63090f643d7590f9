import { expect, test } from 'vitest';
import { plan } from '../../../src/domain/plan.ts';

const steps = (kind: 'delete' | 'downtime') =>
  plan({ kind, lifecycles: [] } as unknown as Parameters<typeof plan>[0]);

test('every check of a deletion comes before its first effect', () => {
  const order = steps('delete');
  for (const effect of ['downtime', 'archive', 'delete-client', 'delete-node'] as const)
    expect(order.indexOf('guard'), effect).toBeLessThan(order.indexOf(effect));
});

test('a Spot warning is checked before the host is silenced', () => {
  const order = steps('downtime');
  expect(order.indexOf('guard')).toBeLessThan(order.indexOf('downtime'));
});

test('a deletion archives before it removes, and removes the client before the node', () => {
  const order = steps('delete');
  expect(order.indexOf('archive')).toBeLessThan(order.indexOf('delete-client'));
  expect(order.indexOf('delete-client')).toBeLessThan(order.indexOf('delete-node'));
  expect(order.indexOf('delete-node')).toBeLessThan(order.indexOf('verify'));
});
