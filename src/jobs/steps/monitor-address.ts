import { isIP } from 'node:net';
import type { NagiosHost } from '../../clients/nagios/hosts.ts';
import type { ChefNode } from '../../domain/chef-node.ts';
import type { JobRecord } from '../record.ts';

/** Attributes that hold one address or DNS name of a node, or a list of them. Source: Ohai's plugins of network, EC2 and cloud */
const ADDRESSES = [
  ...['ipaddress', 'ip6address'],
  ...['local_ipv4', 'public_ipv4', 'local_hostname', 'public_hostname'].flatMap(name => [
    `ec2.${name}`,
    `cloud.${name}`,
  ]),
  ...['local_ipv4_addrs', 'public_ipv4_addrs', 'public_ipv6_addrs'].map(name => `cloud.${name}`),
];
/** A host with more, such as one of many containers, is not compared by them all. */
const MOST = 50;

/** Every address and DNS name that a node says it has. */
export function nodeAddresses(
  node: ChefNode,
  attribute: (node: ChefNode, path: string) => unknown,
): string[] {
  const interfaces = Object.values(fieldsOf(attribute(node, 'network.interfaces')));
  const found = [
    ...ADDRESSES.map(path => attribute(node, path)),
    ...interfaces.map(each => Object.keys(fieldsOf(fieldsOf(each)['addresses']))),
  ].flat();
  const told = found.filter((value): value is string => typeof value === 'string' && value !== '');
  return [...new Set(told.map(normal))].filter(value => !saysNothing(value)).slice(0, MOST);
}

/**
 * What Nagios shows of a host that contradicts its being the job's: an address or a full name of another machine.
 * @returns in words, such as `has the address 10.0.0.9`; undefined if nothing contradicts
 */
export function isOfAnotherMachine(
  { name, address, alias, displayName }: NagiosHost,
  { node, facts }: Pick<JobRecord, 'node' | 'facts'>,
): string | undefined {
  const { fqdn, hostname, addresses = [] } = facts;
  const names = [node, node?.split('.')[0], fqdn, hostname].filter(each => typeof each === 'string');
  const own = new Set([...names, ...addresses].map(normal));
  const isOther = (value: string) => !own.has(normal(value)) && normal(value) !== normal(name);
  // An address says nothing against a node whose addresses are not known.
  const isKnown = isIP(address) === 0 || addresses.some(each => isIP(each) !== 0);
  if (isKnown && !saysNothing(address) && isOther(address)) return `has the address ${address}`;
  const called = [displayName, alias].find(text => text !== undefined && isFullName(text) && isOther(text));
  return called && `is called ${called}`;
}

/** An alias is free text; only a DNS name of three labels at least tells a machine. */
function isFullName(text: string): boolean {
  return /^[a-z\d-]+(\.[a-z\d-]+)+\.[a-z][a-z\d-]+$/i.test(text);
}

/** Whether an address is the same on every machine; Nagios hosts that are not checked over the network have such ones. */
function saysNothing(address: string): boolean {
  return /^(|127\..*|0\.0\.0\.0|::1?|localhost(\..*)?)$/i.test(address.trim());
}

/** One spelling of an address or a name. */
function normal(text: string): string {
  const value = text.trim().toLowerCase().replace(/%.*$/, '');
  return isIP(value) === 6 ? new URL(`http://[${value}]/`).hostname.slice(1, -1) : value;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
