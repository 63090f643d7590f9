import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attribute, type ChefNode } from '../../../../src/domain/chef-node.ts';
import type { JsonObject } from '../../../../src/domain/json.ts';
import { isOfAnotherMachine, nodeAddresses } from '../../../../src/jobs/steps/monitor-address.ts';

const node = (automatic: JsonObject): ChefNode => ({ name: 'web-1.example.com', automatic });

/** What Ohai reports of a host on EC2, shortened. */
const OHAI = {
  ipaddress: '10.0.0.10',
  ip6address: '2001:DB8:0:0::10',
  ec2: {
    local_ipv4: '10.0.0.10',
    public_ipv4: '203.0.113.10',
    public_hostname: 'ec2-203-0-113-10.compute.amazonaws.com',
  },
  cloud: { public_ipv4_addrs: ['203.0.113.10', '203.0.113.11'], provider: 'ec2' },
  network: {
    interfaces: {
      lo: { addresses: { '127.0.0.1': { family: 'inet' }, '::1': { family: 'inet6' } } },
      eth1: { addresses: { '10.1.0.10': { family: 'inet' }, '02:42:AC:11:00:02': { family: 'lladdr' } } },
    },
  },
};

const job = (automatic: JsonObject) => ({
  node: 'web-1.example.com',
  facts: {
    fqdn: 'web-1.example.com',
    hostname: 'web-1',
    addresses: nodeAddresses(node(automatic), attribute),
  },
});

test('every address of a node is read, and none that every machine has', () => {
  const found = nodeAddresses(node(OHAI), attribute);
  expect(found).toEqual(
    expect.arrayContaining(['10.0.0.10', '2001:db8::10', '203.0.113.10', '203.0.113.11', '10.1.0.10']),
  );
  expect(found.filter(each => each.startsWith('127.') || each === '::1')).toEqual([]);
});

test('whatever a node has in these attributes, a bounded list of texts is read', () => {
  const odd = fc.jsonValue();
  fc.assert(
    fc.property(odd, odd, odd, odd, (ipaddress, cloud, ec2, interfaces) => {
      const found = nodeAddresses(node({ ipaddress, cloud, ec2, network: { interfaces } }), attribute);
      expect(found.length).toBeLessThanOrEqual(50);
      for (const each of found) expect(each).toEqual(expect.any(String));
    }),
  );
});

describe('a Nagios host web-1', () => {
  test.each([
    ['10.0.0.11', 'has the address 10.0.0.11'],
    ['2001:db8::11', 'has the address 2001:db8::11'],
    ['web-1.other.org', 'has the address web-1.other.org'],
    ['db-7', 'has the address db-7'],
  ])('at %s is another machine’s', (address, says) => {
    expect(isOfAnotherMachine({ name: 'web-1', address }, job(OHAI))).toBe(says);
  });

  test.each([
    ...['10.0.0.10', '203.0.113.11', '10.1.0.10', '2001:0DB8::10', 'WEB-1.example.com', 'web-1', ' web-1 '],
    ...['127.0.0.1', '127.0.1.1', '::1', '0.0.0.0', 'localhost', 'localhost.localdomain', ''],
    'EC2-203-0-113-10.compute.amazonaws.com',
  ])('at %j may be the node’s', address => {
    expect(isOfAnotherMachine({ name: 'web-1', address }, job(OHAI))).toBeUndefined();
  });

  test('at an IP address says nothing of a node whose addresses are not known', () => {
    expect(isOfAnotherMachine({ name: 'web-1', address: '10.0.0.11' }, job({}))).toBeUndefined();
    expect(isOfAnotherMachine({ name: 'web-1', address: 'web-1.other.org' }, job({}))).toBeDefined();
  });

  test('is another machine’s by a full name in its alias or display name, and not by other text', () => {
    const at = { name: 'web-1', address: '127.0.0.1' };
    expect(isOfAnotherMachine({ ...at, alias: 'web-1.other.org' }, job(OHAI))).toBe(
      'is called web-1.other.org',
    );
    expect(isOfAnotherMachine({ ...at, displayName: 'web-1.other.org' }, job(OHAI))).toBeDefined();
    for (const alias of [
      'web-1.example.com',
      'Web-1.Example.com',
      'web-1',
      'The first of web',
      'v1.2.3',
      'a.b',
    ]) {
      expect(isOfAnotherMachine({ ...at, alias, displayName: alias }, job(OHAI)), alias).toBeUndefined();
    }
  });

  test('at an address that the node has is never another machine’s, however both are written', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
    fc.assert(
      fc.property(address, fc.array(fc.ipV4(), { maxLength: 3 }), (mine, others) => {
        const addresses = [...others, mine];
        const automatic = {
          network: { interfaces: { eth0: { addresses: Object.fromEntries(addresses.map(it => [it, {}])) } } },
        };
        for (const shown of [mine, mine.toUpperCase(), mine.toLowerCase()]) {
          expect(isOfAnotherMachine({ name: 'web-1', address: shown }, job(automatic))).toBeUndefined();
        }
      }),
    );
  });
});
