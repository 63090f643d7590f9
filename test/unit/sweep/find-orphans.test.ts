import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findOrphans } from '../../../src/sweep/find-orphans.ts';
import { instanceId } from '../../support/termination.ts';

const HOUR = 3_600_000;
const ACCOUNT = '000000000001';
const REGION = 'eu-west-1';

test('only a node that has an instance, which is not known to live, and was not seen for two hours is orphaned', () => {
  const now = new Date();
  const account = fc.constantFrom(ACCOUNT, '000000000002', undefined, null);
  const node = fc.record({
    name: fc.string(),
    instance: fc.oneof(fc.integer({ min: 0, max: 9 }).map(instanceId), fc.anything()),
    ohaiTime: fc.oneof(
      fc.integer({ min: 1, max: 300 }).map(minutes => now.getTime() / 1000 - 60 * minutes),
      fc.anything(),
    ),
    accountId: account,
    region: fc.constantFrom(REGION, REGION, 'us-east-1', undefined, null, ''),
  });
  const states = new Map([0, 1, 2, 3, 4].map(number => [instanceId(number), 'running']));
  const asked = fc.record({
    states: fc.constantFrom(states, states, new Map()),
    region: fc.constant(REGION),
    account: fc.constantFrom(ACCOUNT, ACCOUNT, undefined),
  });
  const known = fc.oneof(
    asked.map(region => ({ regions: [region] })),
    fc.constant({ living: new Set(states.keys()) }),
  );
  fc.assert(
    fc.property(fc.array(node), known, (nodes, instances) => {
      const { orphans } = findOrphans(nodes, instances, 'ec2.instance_id', now);
      const expected = nodes.filter(({ instance, ohaiTime, accountId, region }) => {
        const ended = typeof instance === 'string' && /^i-0{16}[5-9]$/.test(instance);
        const unseen =
          typeof ohaiTime === 'number' && ohaiTime > 0 && now.getTime() - ohaiTime * 1000 > 2 * HOUR;
        if (!ended || !unseen) return false;
        if ('living' in instances) return true;
        return instances.regions.every(
          answer =>
            answer.states.size > 0 &&
            answer.account !== undefined &&
            answer.account === accountId &&
            answer.region === region,
        );
      });
      expect(orphans.map(orphan => orphan.node).sort()).toEqual(expected.map(({ name }) => name).sort());
    }),
    { numRuns: 500 },
  );
});
