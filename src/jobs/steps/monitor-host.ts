import type { ChefClient } from '../../clients/chef/client.ts';
import type { NagiosClient } from '../../clients/nagios/client.ts';
import type { NagiosHost } from '../../clients/nagios/hosts.ts';
import type { ChefNode } from '../../domain/chef-node.ts';
import { AppError } from '../../domain/errors.ts';
import { nagiosHostsNamed } from '../../domain/evidence.ts';
import { isNagiosHostName, isNodeName } from '../../domain/identifiers.ts';
import type { Facts, JobRecord } from '../record.ts';
import { isOfAnotherMachine, nodeAddresses } from './monitor-address.ts';

export interface MonitorDependencies {
  nagios: NagiosClient;
  chef: ChefClient;
}

interface Candidate {
  name: string;
  /**
   * What must be true before the host of this name is taken for the job's. `given`: nothing, since a person named it or it
   * is the Chef node's own name. `full`: no other Chef node has the name. `unsure`: that, and what Nagios shows of the
   * host does not contradict; so for a short name, which hosts of several domains may have, and for what a host says of itself.
   */
  trust: 'given' | 'full' | 'unsure';
}

export interface HostSearch {
  unknown: Set<string>;
  passedOver: string[];
}

/** What a node says that its monitor may know it by. */
export function monitorFacts(node: ChefNode, attribute: (node: ChefNode, path: string) => unknown): Facts {
  const word = (path: string) => {
    const value = attribute(node, path);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const [fqdn, hostname, nagiosHost] = ['fqdn', 'hostname', 'nagios.host_name'].map(word);
  const addresses = nodeAddresses(node, attribute);
  return {
    ...(fqdn && { fqdn }),
    ...(hostname && { hostname }),
    ...(nagiosHost && { nagiosHost }),
    ...(addresses.length > 0 && { addresses }),
  };
}

/**
 * The Nagios hosts that are the job's, the likeliest first: the next one is wanted only if Nagios does not take a command for
 * the one before. A living host must not be silenced, so one that may be another machine's is passed over.
 * @param search gets the names that Nagios does not know, and why a host was passed over
 */
export async function* monitorHosts(
  job: JobRecord,
  dependencies: MonitorDependencies,
  { unknown, passedOver }: HostSearch,
): AsyncGenerator<string> {
  const tried = new Set<string>();
  for (const { name, trust } of candidates(job)) {
    if (trust === 'given' && !tried.has(name)) {
      tried.add(name);
      yield name;
    }
    const [host, ...others] = await hostsNamed(name, dependencies.nagios);
    if (others.length > 0) passedOver.push(`Nagios has several hosts named ${name} that differ in case`);
    if (host === undefined) unknown.add(name);
    if (host === undefined || others.length > 0 || tried.has(host)) continue;
    tried.add(host);
    const why = await whyNot(host, { name, trust }, job, dependencies);
    if (why === undefined) yield host;
    else if (why === 'unknown') unknown.add(name);
    else passedOver.push(why);
  }
}

/** Says why no host was found. */
export function describeSearch({ unknown, passedOver }: HostSearch): string {
  const names = [...unknown].join(' or ');
  return [...(names ? [`Nagios has no host ${names}`] : []), ...passedOver].join('; ');
}

/** Names under which Nagios may know the job's host, full names before short ones. */
function candidates(job: JobRecord): Candidate[] {
  const { node } = job;
  const { fqdn, hostname, nagiosHost } = job.facts;
  const isFull = (name: string | undefined) => name?.includes('.');
  const named = nagiosHostsNamed(job, node).map(
    ({ name, from }) => [name, from === 'person' || name === node ? 'given' : 'unsure'] as const,
  );
  const byPerson = named.find(([name, trust]) => trust === 'given' && name !== node)?.[0];
  const names: (readonly [unknown, Candidate['trust']])[] = [
    ...named,
    [node, 'given'],
    ...[fqdn, hostname].filter(isFull).map(name => [name, 'full'] as const),
    [nagiosHost, 'unsure'],
    ...[firstLabel(node), ...[hostname, fqdn].filter(name => !isFull(name))].map(
      name => [name, 'unsure'] as const,
    ),
  ];
  return names.flatMap(([name, trust]) => {
    if (!isNagiosHostName(name)) return [];
    // Every Nagios has a host localhost, which is the Nagios server: only a person can mean that one.
    if (/^localhost(\.|$)/i.test(name) && name !== byPerson) return [];
    return [{ name, trust }];
  });
}

/** Undefined for an IP address and for whatever else begins with a number. */
function firstLabel(node: string | null): string | undefined {
  const [label] = node?.split('.') ?? [];
  return label !== undefined && /[a-z]/i.test(label) ? label : undefined;
}

/** As Nagios spells them; a Nagios that cannot list its hosts may have one of exactly this name. */
async function hostsNamed(name: string, nagios: NagiosClient): Promise<string[]> {
  try {
    return await nagios.hostsNamed(name);
  } catch (error) {
    if (error instanceof AppError && error.code === 'unsupported') return [name];
    throw error;
  }
}

/** Why the Nagios host must not be taken for the job's; `unknown` if Nagios has none of the name. */
async function whyNot(
  host: string,
  { name, trust }: Candidate,
  job: JobRecord,
  { nagios, chef }: MonitorDependencies,
): Promise<string | undefined> {
  // A person may name any host.
  if (host === job.node || (trust === 'given' && name !== job.node)) return undefined;
  if (trust === 'unsure') {
    const shown = await showHost(host, nagios);
    if (shown === undefined) return 'unknown';
    const says = isOfAnotherMachine(shown, job);
    if (says) return `Nagios host ${host} ${says}, so it is not taken for node ${job.node}`;
  }
  const other = await otherNode(new Set([host, name]), job.node, chef);
  return (
    other && `Nagios host ${host} may be that of Chef node ${other}, so it is not taken for node ${job.node}`
  );
}

/** What a Nagios that can show no host has of it is not known, and contradicts nothing. */
async function showHost(name: string, nagios: NagiosClient): Promise<NagiosHost | undefined> {
  try {
    return await nagios.showHost(name);
  } catch (error) {
    if (error instanceof AppError && error.code === 'unsupported') return { name, address: name };
    throw error;
  }
}

/** Another Chef node that has one of the names: as its own, or as one that its host goes by. */
async function otherNode(
  names: Set<string>,
  node: string | null,
  chef: ChefClient,
): Promise<string | undefined> {
  for (const name of names) {
    if (!isNodeName(name)) continue;
    const found = [[name]];
    for (const attribute of ['fqdn', 'hostname', 'nagios.host_name']) {
      found.push(await nodesWith(attribute, name, chef));
    }
    for (const other of new Set(found.flat())) {
      // The index may still have a node that was deleted.
      if (other !== node && (await chef.getNode(other))) return other;
    }
  }
  return undefined;
}

async function nodesWith(attribute: string, value: string, chef: ChefClient): Promise<string[]> {
  try {
    return await chef.findNodeNames(attribute, value);
  } catch (error) {
    // A value that is not worth searching for.
    if (error instanceof AppError && error.code === 'invalid') return [];
    throw error;
  }
}
