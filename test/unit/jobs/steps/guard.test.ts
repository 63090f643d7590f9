import { describe, expect, test } from 'vitest';
import { AppError } from '../../../../src/domain/errors.ts';
import type { Evidence } from '../../../../src/domain/evidence.ts';
import type { Ec2Answer } from '../../../../src/domain/instance-end.ts';
import type { JobKind } from '../../../../src/domain/job.ts';
import type { JobRecord } from '../../../../src/jobs/record.ts';
import type { StepContext } from '../../../../src/jobs/run-steps.ts';
import { type GuardDependencies, guardStep } from '../../../../src/jobs/steps/guard.ts';

const I = 'i-0a1b2c3d4e5f60718';
const SAID_AT = new Date('2026-05-01T12:00:00Z');
const NEVER = { ensured: 0, restored: 0, deleted: 0, asked: 0, by: '' };
/** Longer than EC2 may lag behind for a Spot instance, and than it may be away. */
const LONG_AGO = () => Date.now() - 10 * 60_000;

interface Situation {
  kind: JobKind;
  from: Evidence['from'];
  facts?: JobRecord['facts'];
  approval?: JobRecord['approval'];
  /** What EC2 answers. */
  ec2?: string | Error;
  lastSaid?: Partial<typeof NEVER>;
  /** When chef-client ran on the node. */
  ohaiTime?: Date;
  isProtected?: boolean;
}

/** Runs the guard of one job. @returns what was done for it besides looking, and the reasons for which it is held */
async function guard(
  situation: Situation,
): Promise<{ codes: string[]; spent: string[]; note: string | undefined }> {
  const { kind, from, facts = {}, approval, ec2 = 'running', lastSaid, ohaiTime, isProtected } = situation;
  const spent: string[] = [];
  const evidence: Evidence = { from, rank: from === 'claim' ? 1 : 3, saidAt: SAID_AT.getTime() };
  const job = {
    ...{ id: 'j', kind, node: 'web-1', instanceId: I, facts, attempts: 1, lifecycles: [], saidAt: SAID_AT },
    evidence: [evidence],
    ...(approval && { approval, approvedBy: 'ops' }),
  } as unknown as JobRecord;
  const instanceState = async (): Promise<Ec2Answer> => {
    if (ec2 instanceof Error) throw ec2;
    return { state: ec2, region: 'eu-west-1', account: '123456789012' };
  };
  const dependencies = {
    attribute: () => I,
    ohaiTime: () => ohaiTime ?? new Date(SAID_AT.getTime() - 60_000),
    instanceAttribute: 'ec2.instance_id',
    chef: {
      getNode: async () => ({ name: 'web-1' }),
      clientIdentity: async () => ({ validator: false, fingerprints: ['SHA256:a'] }),
    },
    ec2: { instanceState },
    autoScaling: { instanceState: async () => ({ state: undefined, group: undefined }) },
    verifyAll: false,
    ownClient: 'service',
    protectedNodes: isProtected ? ['web-*'] : [],
    lastSaid: async () => ({ ...NEVER, ...lastSaid }),
    spend: async (id: string) => void spent.push(id),
  } as unknown as GuardDependencies;
  const context = {
    remember: async (learnt: object) => void Object.assign(job.facts, learnt),
  } as unknown as StepContext;
  try {
    const { note } = await guardStep(dependencies)(job, context);
    return { codes: [], spent, note };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return {
      codes: (error.reasons ?? [{ code: error.code }]).map(({ code }) => code),
      spent,
      note: undefined,
    };
  }
}

describe.each(['downtime', 'delete'] as const)('a claim that asks for a %s', kind => {
  test('is held as alive if EC2 says so for longer than it may lag behind', async () => {
    const held = await guard({ kind, from: 'claim', facts: { aliveFrom: LONG_AGO() } });
    expect(held).toMatchObject({ codes: ['alive'], spent: [] });
  });

  test('waits for EC2, which may lag behind, before it is held', async () => {
    expect(await guard({ kind, from: 'claim' })).toMatchObject({ codes: ['conflict'], spent: [] });
  });

  test('is held as unverified if EC2 cannot be asked for two minutes', async () => {
    const away = new AppError('unavailable', 'EC2 does not answer');
    const held = await guard({ kind, from: 'claim', ec2: away, facts: { awayFrom: LONG_AGO() } });
    expect(held).toMatchObject({ codes: ['unverified'], spent: [] });
  });

  test('is held as unverified if the service may not ask EC2', async () => {
    const refused = new AppError('permission', 'ec2:DescribeInstances is missing');
    expect(await guard({ kind, from: 'claim', ec2: refused })).toMatchObject({ codes: ['unverified'] });
  });

  test('goes on if EC2 confirms it, and tells what EC2 said', async () => {
    expect(await guard({ kind, from: 'claim', ec2: 'terminated' })).toMatchObject({
      codes: [],
      note: 'EC2 says terminated',
    });
  });

  test('goes on without a question to EC2 if AWS said it at a place of its own', async () => {
    expect(await guard({ kind, from: 'aws', ec2: new Error('must not be asked') })).toMatchObject({
      codes: [],
    });
  });
});

describe('a deletion that is held costs nothing of the budget', () => {
  test.each<[string, Partial<Situation>, string]>([
    ['chef-client ran since', { ohaiTime: new Date(SAID_AT.getTime() + 3_600_000) }, 'alive'],
    ['it is protected', { isProtected: true }, 'protected'],
    ['an ensure was said later', { lastSaid: { ensured: SAID_AT.getTime() + 1 } }, 'overruled'],
  ])('because %s', async (_, situation, code) => {
    expect(await guard({ kind: 'delete', from: 'aws', ...situation })).toMatchObject({
      codes: [code],
      spent: [],
    });
  });
});

test('all reasons are kept, not only the first', async () => {
  const { codes } = await guard({
    ...{ kind: 'delete', from: 'aws', isProtected: true },
    lastSaid: { ensured: SAID_AT.getTime() + 1 },
    ohaiTime: new Date(SAID_AT.getTime() + 3_600_000),
  });
  expect(codes.toSorted()).toEqual(['alive', 'overruled', 'protected']);
});

test('an approval of one reason leaves the others', async () => {
  const approval = { reasons: [{ code: 'protected' as const, message: '' }] };
  const more = { lastSaid: { ensured: SAID_AT.getTime() + 1 } };
  const held = await guard({ kind: 'delete', from: 'aws', isProtected: true, approval, ...more });
  expect(held.codes[0]).toBe('overruled');
  expect(await guard({ kind: 'delete', from: 'aws', isProtected: true, approval })).toMatchObject({
    spent: ['j'],
  });
});
