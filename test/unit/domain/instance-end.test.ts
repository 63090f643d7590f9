import { LifecycleState } from '@aws-sdk/client-auto-scaling';
import { InstanceStateName } from '@aws-sdk/client-ec2';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type InstanceEnd,
  instanceEnd,
  LIFECYCLE_STATES,
  type Observed,
} from '../../../src/domain/instance-end.ts';

const NOW = new Date('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;
const ago = (hours: number) => new Date(NOW.getTime() - hours * HOUR);
const ACCOUNT = '000000000001';
const REGION = 'eu-west-1';
const FORGOTTEN = { state: undefined, account: ACCOUNT, region: REGION };
const NODE = { account: ACCOUNT, region: REGION, lastSeen: ago(3) };

const answer = (observed: Partial<Observed>) => instanceEnd({ now: NOW, ...observed }).answer;
const ec2 = (state: string | undefined) => ({ ...FORGOTTEN, state });

describe('EC2 alone', () => {
  test.each([
    ['shutting-down', 'ended'],
    ['terminated', 'ended'],
    ['pending', 'alive'],
    ['running', 'alive'],
    ['stopping', 'alive'],
    ['stopped', 'alive'],
    ['Terminated', 'unknown'],
    ['constructor', 'unknown'],
    ['', 'unknown'],
    [null, 'unknown'],
  ] as const)('an instance that EC2 calls %j is %s', (state, expected) => {
    expect(answer({ ec2: ec2(state as string), node: NODE })).toBe(expected);
  });

  test('every state that the SDK knows is understood', () => {
    for (const state of Object.values(InstanceStateName)) {
      expect(answer({ ec2: ec2(state) })).not.toBe('unknown');
    }
  });
});

describe('Auto Scaling', () => {
  test('every lifecycle state that the SDK knows has a meaning, so that a new one is noticed', () => {
    expect(Object.keys(LIFECYCLE_STATES).sort()).toEqual(Object.values(LifecycleState).sort());
  });

  test('only a state on the way out for good is a termination, and none that AWS keeps or uses again', () => {
    const ending = Object.values(LifecycleState).filter(
      state =>
        answer({ ec2: ec2('running'), autoScaling: { state, group: 'web' }, group: 'web' }) === 'ending',
    );
    expect(ending.sort()).toEqual([
      'Terminated',
      'Terminating',
      'Terminating:Proceed',
      'Terminating:Wait',
      'Warmed:Terminated',
      'Warmed:Terminating',
      'Warmed:Terminating:Proceed',
      'Warmed:Terminating:Wait',
    ]);
  });

  test('a termination in another group than the lifecycle action names confirms nothing', () => {
    const autoScaling = { state: 'Terminating:Wait', group: 'web' };
    for (const group of ['db', '', undefined]) {
      expect(answer({ ec2: ec2('running'), autoScaling, group })).toBe('alive');
      expect(answer({ autoScaling, group })).toBe('unknown');
      expect(answer({ ec2: FORGOTTEN, node: NODE, autoScaling, group })).toBe('unknown');
    }
    expect(answer({ autoScaling: { state: 'Terminating:Wait', group: undefined }, group: undefined })).toBe(
      'unknown',
    );
  });

  test('a lifecycle action that Auto Scaling no longer knows is confirmed when EC2 shows the instance ended', () => {
    const autoScaling = { state: undefined, group: undefined };
    expect(answer({ ec2: ec2('terminated'), autoScaling, group: 'web' })).toBe('ended');
    expect(answer({ ec2: ec2('running'), autoScaling, group: 'web' })).toBe('alive');
    expect(answer({ autoScaling, group: 'web', node: NODE })).toBe('unknown');
  });

  test('an instance that Auto Scaling shows in a state that is not understood has not been forgotten', () => {
    const autoScaling = { state: 'Resting', group: 'web' };
    expect(answer({ ec2: FORGOTTEN, node: NODE, autoScaling, group: 'web' })).toBe('unknown');
  });
});

describe('an instance that EC2 does not know', () => {
  const judged = (node: object | undefined, asked: object = FORGOTTEN) =>
    instanceEnd({ ec2: asked as Observed['ec2'], node: node as Observed['node'], now: NOW });

  test('has ended if its own account and region were asked and it was not seen for more than two hours', () => {
    expect(judged(NODE)).toEqual({
      answer: 'ended',
      because: 'EC2 in eu-west-1 of account 000000000001 does not know it',
    });
  });

  test.each([
    [{ ...NODE, account: '000000000002' }, 'the node is in account 000000000002'],
    [{ ...NODE, account: undefined }, 'the node does not say which account it is in'],
    [{ ...NODE, account: '' }, 'the node does not say which account it is in'],
    [{ ...NODE, region: 'us-east-1' }, 'the node is in us-east-1'],
    [{ ...NODE, region: undefined }, 'the node does not say which region it is in'],
    [{ ...NODE, lastSeen: undefined }, 'it is not known when chef-client last ran'],
    [{ ...NODE, lastSeen: new Date(Number.NaN) }, 'it is not known when chef-client last ran'],
    [{ ...NODE, lastSeen: NOW.getTime() - 9 * HOUR }, 'it is not known when chef-client last ran'],
    [{ ...NODE, lastSeen: ago(2) }, 'chef-client ran on the node at 2026-03-01T10:00:00.000Z'],
    [{ ...NODE, lastSeen: ago(-1) }, 'chef-client ran on the node at 2026-03-01T13:00:00.000Z'],
    [undefined, 'no Chef node'],
    [{}, 'the node does not say'],
  ])('may live: %j', (node, why) => {
    const { answer, because } = judged(node);
    expect(answer).toBe('unknown');
    expect(because).toContain(`does not know it, but ${why}`);
  });

  test.each([
    [{ ...FORGOTTEN, account: undefined }, { ...NODE, account: undefined }, 'which account was asked'],
    [{ ...FORGOTTEN, account: '' }, { ...NODE, account: '' }, 'which account was asked'],
    [{ ...FORGOTTEN, region: undefined }, { ...NODE, region: undefined }, 'which region was asked'],
    [{}, NODE, 'which account was asked'],
  ])('may live if it is not known where EC2 was asked: %j', (asked, node, why) => {
    const { answer, because } = judged(node, asked);
    expect(answer).toBe('unknown');
    expect(because).toContain(why);
  });
});

const some = <T>(...values: T[]) => fc.constantFrom(...values);
const odd = fc.oneof(
  fc.anything(),
  some<unknown>(undefined, null, '', {}, 'toString', '__proto__', 'constructor'),
);
/** Mostly a sensible value, since few cases would get past the first check otherwise. */
const mostly = (...values: fc.Arbitrary<unknown>[]) =>
  fc.oneof(...values.map(arbitrary => ({ arbitrary, weight: 4 })), { arbitrary: odd, weight: 1 });
const state = mostly(
  some(undefined),
  some(...Object.values(InstanceStateName)),
  some(...Object.values(LifecycleState)),
);
const account = mostly(some(ACCOUNT, ACCOUNT, '000000000002'));
const region = mostly(some(REGION, REGION, 'us-east-1'));
const group = mostly(some('web', 'db', undefined));
const lastSeen = mostly(
  fc.double({ min: 1.8, max: 2.2, noNaN: true }).map(ago),
  some(ago(-1), ago(0), ago(2), ago(3), ago(900), new Date(Number.NaN)),
);
const partial = (shape: Record<string, fc.Arbitrary<unknown>>) =>
  fc.oneof(fc.record(shape), fc.record(shape, { requiredKeys: [] }), some(undefined));
const observed = fc.record({
  ec2: partial({ state, account, region }),
  autoScaling: partial({ state, group }),
  group,
  node: partial({ account, region, lastSeen }),
}) as fc.Arbitrary<Omit<Observed, 'now'>>;

/** What the answer must be, said in another way. */
function oracle({ ec2, autoScaling, group, node }: Omit<Observed, 'now'>): InstanceEnd['answer'] {
  const is = (value: unknown, ...words: string[]) => words.includes(value as string);
  const out = /^(Warmed:)?Terminat(ing|ing:Wait|ing:Proceed|ed)$/;
  const leaves = typeof autoScaling?.state === 'string' && out.test(autoScaling.state);
  if (is(ec2?.state, 'shutting-down', 'terminated')) return 'ended';
  if (leaves && typeof group === 'string' && group === autoScaling?.group) return 'ending';
  if (is(ec2?.state, 'pending', 'running', 'stopping', 'stopped')) return 'alive';
  const known =
    is(autoScaling?.state, ...Object.values(LifecycleState)) && !is(autoScaling?.state, 'Quarantined');
  if (known && !leaves) return 'alive';
  const nobodyKnowsIt = ec2 && ec2.state === undefined && autoScaling?.state === undefined;
  const own = is(ec2?.account, ACCOUNT, '000000000002') && is(ec2?.region, REGION, 'us-east-1');
  const same = own && node?.account === ec2?.account && node?.region === ec2?.region;
  const unseen = node?.lastSeen instanceof Date && NOW.getTime() - node.lastSeen.getTime() > 2 * HOUR;
  return nobodyKnowsIt && same && unseen ? 'ended' : 'unknown';
}

test('whatever was observed, in whatever pieces, the answer is the right one', () => {
  fc.assert(
    fc.property(observed, seen => {
      expect(instanceEnd({ ...seen, now: NOW }).answer).toBe(oracle(seen));
    }),
    { numRuns: 2000 },
  );
});

test('whatever is known of an instance that EC2 does not know, the answer is the right one', () => {
  const forgotten = fc.record({
    ec2: fc.record({ state: some(undefined), account, region }),
    autoScaling: some(undefined, { state: undefined, group: undefined }, { state: 'Resting', group: 'web' }),
    group: some(undefined, 'web'),
    node: fc.record({ account, region, lastSeen }),
  }) as fc.Arbitrary<Omit<Observed, 'now'>>;
  fc.assert(
    fc.property(forgotten, seen => {
      expect(instanceEnd({ ...seen, now: NOW }).answer).toBe(oracle(seen));
    }),
    { numRuns: 2000 },
  );
});
