import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeLocation } from '../../../../src/clients/chef/node-location.ts';

const ACCOUNT = '000000000001';
const located = (ec2: unknown) => nodeLocation({ name: 'web-1', automatic: { ec2 } });

/** Zones of AWS and their regions. */
const ZONES = {
  'eu-west-1a': 'eu-west-1',
  'ap-southeast-2c': 'ap-southeast-2',
  'us-gov-west-1b': 'us-gov-west-1',
  'cn-north-1a': 'cn-north-1',
  'us-isob-east-1a': 'us-isob-east-1',
  'eusc-de-east-1a': 'eusc-de-east-1',
  // Local Zones.
  'us-west-2-lax-1a': 'us-west-2',
  'us-east-1-atl-2a': 'us-east-1',
  'ap-northeast-1-tpe-1a': 'ap-northeast-1',
  // Wavelength Zones.
  'us-east-1-wl1-bos-wlz-1': 'us-east-1',
  'eu-west-3-cmn-wlz-1a': 'eu-west-3',
};

describe('the region of a node', () => {
  test('is the one that Ohai names', () => {
    for (const region of Object.values(ZONES)) expect(located({ region }).region).toBe(region);
  });

  test.each(Object.entries(ZONES))('is read from zone %s of older versions of Ohai', (zone, region) => {
    expect(located({ placement_availability_zone: zone }).region).toBe(region);
    expect(located({ placement_availability_zone: zone, region: null }).region).toBe(region);
    expect(located({ placement_availability_zone: zone, region }).region).toBe(region);
  });

  test('is not known if the region and the zone contradict each other', () => {
    expect(
      located({ region: 'us-east-1', placement_availability_zone: 'eu-west-1a' }).region,
    ).toBeUndefined();
  });

  test.each([
    'eu-west-1',
    'eu-west-1A',
    'eu-west-1ab',
    'eu-west-a',
    'west-1a',
    'eu-west-1-',
    'eu-west-1a.example.com',
    'use1-az1',
    ' eu-west-1a',
    'eu-west-1a\n',
    '',
  ])('is not read from %j, which is not a zone', zone => {
    expect(located({ placement_availability_zone: zone }).region).toBeUndefined();
  });

  test.each(['eu-west-1a', 'eu', 'EU-WEST-1', 'eu-west-1.example.com', 'eu-west-1\n', '', 1, {}])(
    'is not %j, which is not a region',
    region => {
      expect(located({ region }).region).toBeUndefined();
    },
  );
});

describe('the account of a node', () => {
  const owned = (...owners: unknown[]) =>
    located({
      network_interfaces_macs: Object.fromEntries(
        owners.map((owner, at) => [`02:0${at}`, { owner_id: owner }]),
      ),
    }).account;

  test('is the one that Ohai names, whoever owns its network interfaces', () => {
    const macs = { '02:00': { owner_id: '000000000002' } };
    expect(located({ account_id: ACCOUNT, network_interfaces_macs: macs }).account).toBe(ACCOUNT);
  });

  test('is the owner of all its network interfaces with older versions of Ohai', () => {
    expect(owned(ACCOUNT)).toBe(ACCOUNT);
    expect(owned(ACCOUNT, ACCOUNT)).toBe(ACCOUNT);
  });

  test('is not known if its network interfaces have several owners, or one without', () => {
    expect(owned(ACCOUNT, '000000000002')).toBeUndefined();
    expect(owned(ACCOUNT, undefined)).toBeUndefined();
    expect(owned()).toBeUndefined();
  });

  test.each(['', '1', 1, 123456789012, '00000000000a', `${ACCOUNT}\n`, null, {}])(
    'is not %j, which is not an account',
    account => {
      expect(located({ account_id: account }).account).toBeUndefined();
      expect(owned(account)).toBeUndefined();
    },
  );
});

test('whatever a node has as attributes, its account and region are well formed or not known', () => {
  const odd = fc.anything();
  const ec2 = fc.oneof(
    odd,
    fc.record(
      { account_id: odd, network_interfaces_macs: odd, region: odd, placement_availability_zone: odd },
      { requiredKeys: [] },
    ),
    fc.record({ network_interfaces_macs: fc.dictionary(fc.string(), odd) }),
    fc.record({
      region: fc.string(),
      placement_availability_zone: fc.stringMatching(/^[a-z]{2}-[a-z]+-\d.*$/),
    }),
  );
  fc.assert(
    fc.property(ec2, value => {
      const { account, region } = located(value);
      if (account !== undefined) expect(account).toMatch(/^\d{12}$/);
      if (region !== undefined) expect(region).toMatch(/^[a-z]+(-[a-z]+)+-\d+$/);
    }),
  );
});
