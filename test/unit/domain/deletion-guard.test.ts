import { describe, expect, test } from 'vitest';
import {
  holdFor,
  machineOf,
  notApproved,
  reasonsAgainstClient,
  reasonsAgainstNode,
  reasonsOfProtection,
  refuseNeverDeleted,
  type SeenClient,
  type SeenNode,
  type Termination,
} from '../../../src/domain/deletion-guard.ts';
import { AppError, type Reason } from '../../../src/domain/errors.ts';

const I = 'i-0a1b2c3d4e5f60718';
const OTHER = 'i-0f0f0f0f0f0f0f0f0';
const saidAt = new Date('2026-03-02T10:00:00Z');
const minutes = (count: number) => new Date(saidAt.getTime() + count * 60_000);
const said = (more: Partial<Termination> = {}): Termination => ({
  node: 'web-1',
  instanceId: I,
  saidAt,
  ...more,
});
const node = (instanceId: string | string[] | null = I, ohaiTime: Date | null = saidAt): SeenNode => ({
  instanceId: instanceId === null ? undefined : instanceId,
  ohaiTime: ohaiTime ?? undefined,
});
const client = (...fingerprints: string[]): SeenClient => ({ validator: false, fingerprints });
const codes = (reasons: Reason[]) => reasons.map(({ code }) => code);

describe('nothing speaks against a node', () => {
  test.each([
    ['that is the instance that ended', said(), node()],
    ['on which chef-client ran a quarter of an hour later, while it went down', said(), node(I, minutes(15))],
    ['on which chef-client never ran', said(), node(I, null)],
    [
      'that does not say which instance it is, if the host itself says so',
      said({ saidByHost: true }),
      node(null),
    ],
    [
      'that was named alone and is what it was when it was found',
      said({ instanceId: null, foundInstance: I }),
      node(),
    ],
  ])('%s', (_, termination, seen) => {
    expect(reasonsAgainstNode(termination, seen, 'ec2.instance_id')).toEqual([]);
  });
});

describe('a node is not deleted', () => {
  test.each([
    ['that is another instance', said(), node(OTHER), 'other-instance'],
    ['that does not say which instance it is', said(), node(null), 'no-instance-id'],
    [
      'that is another instance although the host itself says so',
      said({ saidByHost: true }),
      node(OTHER),
      'other-instance',
    ],
    ['whose instance is not a text', said(), node([I]), 'other-instance'],
    ['on which chef-client ran since', said(), node(I, minutes(16)), 'alive'],
    [
      'that became another instance after it was found',
      said({ instanceId: null, foundInstance: I }),
      node(OTHER),
      'other-instance',
    ],
    [
      'that lost its instance id after it was found',
      said({ instanceId: null, foundInstance: I }),
      node(null),
      'other-instance',
    ],
    [
      'that was saved after its deletion by a later chef-client run',
      said({ instanceId: null, goneAt: minutes(1) }),
      node(null, minutes(2)),
      'alive',
    ],
    [
      'that was saved after its deletion at an unknown time',
      said({ instanceId: null, goneAt: minutes(1) }),
      node(null, null),
      'alive',
    ],
  ])('%s', (_, termination, seen, code) => {
    expect(codes(reasonsAgainstNode(termination, seen, 'ec2.instance_id'))).toContain(code);
  });
});

describe('a client is not deleted', () => {
  test.each([
    [
      'that has not the key with which the host signed',
      said({ signedWith: ['old'] }),
      client('new'),
      true,
      'other-key',
    ],
    [
      'that has other keys than when the job was checked',
      said({ checkedKeys: ['old'] }),
      client('new'),
      true,
      'other-key',
    ],
    [
      'that has a key more than when the job was checked',
      said({ checkedKeys: ['old'] }),
      client('new', 'old'),
      true,
      'other-key',
    ],
    ['that has no key any more', said({ checkedKeys: ['old'] }), client(), true, 'other-key'],
    ['that has no node, for the instance of an event', said(), client('any'), false, 'client-alone'],
  ])('%s', (_, termination, seen, hasNode, code) => {
    expect(codes(reasonsAgainstClient(termination, seen, hasNode))).toEqual([code]);
  });

  test.each([
    ['its node says which instance it is', said(), true],
    ['a person named the node alone', said({ instanceId: null }), false],
    ['it has the key with which the host signed', said({ signedWith: ['key'] }), false],
    ['it has the keys that were archived or checked', said({ checkedKeys: ['key'] }), false],
  ])('unless %s', (_, termination, hasNode) => {
    expect(reasonsAgainstClient(termination, client('key'), hasNode)).toEqual([]);
  });
});

test('the service’s own client and validators are refused, whoever asks', () => {
  const refused = (name: string, seen?: SeenClient) => () => refuseNeverDeleted(name, seen, 'deregistration');
  expect(refused('deregistration')).toThrow(/own Chef client/);
  expect(refused('acme-validator', { ...client('k'), validator: true })).toThrow(/validator/);
  expect(refused('web-1', client('k'))).not.toThrow();
});

test('protection is by glob patterns of the whole name', () => {
  expect(codes(reasonsOfProtection('db-1', ['web-*', 'db-?']))).toEqual(['protected']);
  expect(reasonsOfProtection('my-db-1', ['db-?'])).toEqual([]);
});

describe('an approval', () => {
  const differs: Reason = { code: 'other-instance', message: 'it is another' };
  const isProtected: Reason = { code: 'protected', message: 'it is protected' };
  const aliveForEc2: Reason = { code: 'alive', message: 'EC2 says running', by: 'ec2' };
  const aliveForChef: Reason = { code: 'alive', message: 'chef-client ran', by: 'chef-client' };
  const machine = machineOf(node(), client('key'));
  const open = (reasons: Reason[], approved: Reason[], seen = node(), seenClient = client('key')) =>
    notApproved(reasons, { reasons: approved, machine }, seen, seenClient);

  test('lets the reason pass that was approved, whatever its words are now', () => {
    expect(open([{ ...differs, message: 'in other words' }], [differs])).toEqual([]);
  });

  test('lets no other reason pass', () => {
    expect(open([differs, isProtected], [differs])).toEqual([isProtected]);
  });

  test('that the machine lives for EC2 is not one that it lives for Chef', () => {
    expect(open([aliveForChef], [aliveForEc2])).toEqual([aliveForChef]);
  });

  test.each([
    ['instance', node(OTHER), client('key')],
    ['last run', node(I, minutes(1)), client('key')],
    ['key', node(), client('other')],
  ])('is not one for a machine with another %s', (_, seen, seenClient) => {
    expect(open([differs], [differs], seen, seenClient)).toEqual([differs]);
  });

  test('holds for what is left of the machine', () => {
    expect(notApproved([differs], { reasons: [differs], machine }, node(), undefined)).toEqual([]);
    expect(notApproved([differs], { reasons: [differs], machine }, undefined, client('key'))).toEqual([]);
  });

  test('of a client without a node is not one for a node that appears', () => {
    const shown = machineOf(undefined, client('key'));
    const approval = { reasons: [differs], machine: shown };
    expect(notApproved([differs], approval, node(), client('key'))).toEqual([differs]);
  });
});

test('a job is held for all reasons, and by the first that nobody approved', () => {
  const one: Reason = { code: 'other-instance', message: 'one' };
  const two: Reason = { code: 'protected', message: 'two' };
  expect(() => holdFor([one], [])).not.toThrow();
  try {
    holdFor([one, two], [two]);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'protected', message: 'two', reasons: [two, one] });
  }
});
