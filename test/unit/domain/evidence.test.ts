import { describe, expect, test } from 'vitest';
import type { Event, InboundFacts, Place } from '../../../src/domain/event.ts';
import { evidenceOf, isOnlyClaimed, namedNode, signingKeys } from '../../../src/domain/evidence.ts';

const I = 'i-0a1b2c3d4e5f60718';
const saidAt = new Date('2026-03-02T10:00:00Z');
const notice: Event = { kind: 'instance-ended', notice: 'terminated', instanceId: I };
const spot: Event = { kind: 'instance-ending', notice: 'spot', instanceId: I };
const host: Event = { kind: 'registration', method: 'delete', node: 'web-1', instanceId: I };
const request: Event = { kind: 'request', method: 'delete', node: 'web-1' };
const of = (event: Event, place: Place, more: Partial<InboundFacts> = {}) =>
  evidenceOf({ event, place, saidAt, ...more });

describe('who says it', () => {
  test('AWS, only from a place where nobody else may write', () => {
    expect(of(notice, 'aws').from).toBe('aws');
    expect(of(notice, 'hosts').from).toBe('claim');
    expect(of(spot, 'aws').from).toBe('aws');
    expect(of(spot, 'hosts').from).toBe('claim');
  });

  test('nobody for sure, if AWS’s own values leave it uncertain', () => {
    expect(of({ ...notice, doubt: 'StatusCode "X" is not known' }, 'aws').from).toBe('claim');
  });

  test('the host with its key, whatever the place', () => {
    for (const place of ['aws', 'hosts'] as const) {
      expect(of(host, place, { signedBy: 'key' })).toMatchObject({ from: 'host', node: 'web-1', key: 'key' });
    }
  });

  test('a person with a token, or the one who approves a quarantined message', () => {
    expect(of(request, 'api', { requestedBy: 'anna' })).toMatchObject({ from: 'person', by: 'anna' });
    const quarantine = { code: 'unsigned' as const, message: 'nobody signed it' };
    expect(of(host, 'hosts', { quarantine })).not.toHaveProperty('key');
    expect(of(host, 'hosts', { quarantine }).from).toBe('approver');
  });
});

test('a claim ranks below a host, and a host below AWS and persons', () => {
  const [claim, own, aws, person] = [
    of(notice, 'hosts'),
    of(host, 'hosts'),
    of(notice, 'aws'),
    of(request, 'api'),
  ];
  expect(claim.rank).toBeLessThan(own.rank);
  expect(own.rank).toBeLessThan(aws.rank);
  expect(person.rank).toBe(aws.rank);
});

test('one trusted speaker is enough not to be a mere claim', () => {
  expect(isOnlyClaimed({ evidence: [of(notice, 'hosts')] })).toBe(true);
  expect(isOnlyClaimed({ evidence: [of(notice, 'hosts'), of(host, 'hosts')] })).toBe(false);
});

test('the node is the one that the best founded speaker names', () => {
  const liar = of({ ...host, node: 'liar' }, 'hosts');
  const asked = of(request, 'api');
  expect(namedNode({ evidence: [of(notice, 'aws')] })).toBeUndefined();
  expect(namedNode({ evidence: [liar, of(notice, 'aws')] })).toBe('liar');
  expect(namedNode({ evidence: [liar, asked] })).toBe('web-1');
});

test('the client must have the key that signed, only while nobody else says so', () => {
  const own = of(host, 'hosts', { signedBy: 'key' });
  expect(signingKeys({ evidence: [own] })).toEqual(['key']);
  expect(signingKeys({ evidence: [own, of(notice, 'aws')] })).toBeUndefined();
  expect(signingKeys({ evidence: [own, of(request, 'api')] })).toBeUndefined();
  expect(signingKeys({ evidence: [of(host, 'hosts')] })).toBeUndefined();
});
