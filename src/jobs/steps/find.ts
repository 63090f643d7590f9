import type { ChefClient } from '../../clients/chef/client.ts';
import type { AwsLocation } from '../../domain/aws-location.ts';
import type { ChefNode } from '../../domain/chef-node.ts';
import { isApproved } from '../../domain/deletion-guard.ts';
import { AppError } from '../../domain/errors.ts';
import { isSaidBy, namedNode } from '../../domain/evidence.ts';
import { isNodeName } from '../../domain/identifiers.ts';
import type { Facts, JobRecord } from '../record.ts';
import type { Step, StepContext, StepResult } from '../run-steps.ts';
import type { NodeReading } from './look.ts';
import { monitorFacts } from './monitor-host.ts';

export interface FindDependencies extends NodeReading {
  chef: ChefClient;
  /** Reads the AWS account and region that a node says it is in. */
  location: (node: ChefNode) => AwsLocation;
}

/** When to look again for an instance that search does not know, in milliseconds: the index lags by up to a minute. */
const INDEX_WAITS_MS = [5_000, 15_000, 40_000];

/** Other attributes that name the instance of a node on EC2, on hosts whose Ohai did not fill in the configured one. */
const OTHER_ATTRIBUTES = ['ec2.instance_id', 'cloud.instance_id', 'cloud_v2.instance_id', 'instance_id'];

/**
 * Finds the node that the job is about: by the name that a host or a person gave, or by the instance id that AWS gave. AWS
 * does not know names, so what it says is about the instance, whatever node somebody else named for it.
 */
export function findStep(dependencies: FindDependencies): Step {
  return async (job, context) => {
    const byInstance = isSaidBy(job, 'aws', 'claim') && job.instanceId !== null;
    const name = namedNode(job);
    if (name !== undefined) {
      const node = await dependencies.chef.getNode(name);
      if (node && (!byInstance || instanceOf(node, dependencies) === job.instanceId)) {
        return found(node, job, context, dependencies);
      }
      if (!byInstance) return notNamedSo(name, job, dependencies);
    }
    return findByInstance(job.instanceId ?? '', job, context, dependencies);
  };
}

async function notNamedSo(name: string, job: JobRecord, dependencies: FindDependencies): Promise<StepResult> {
  // The event may know the node by another name; its instance must not be taken for dealt with then.
  const [other] = job.instanceId ? await nodesOf(job.instanceId, dependencies) : [];
  if (other && !isApproved(job.approval, 'other-instance')) {
    const message = `the event names node ${name}, which Chef does not have, but its instance ${job.instanceId} is Chef node ${other.name}; nothing was deleted`;
    throw new AppError('other-instance', message, { reasons: [{ code: 'other-instance', message }] });
  }
  return { state: 'done', note: `Chef has no node ${name}`, facts: { inChef: false } };
}

async function findByInstance(
  instanceId: string,
  job: JobRecord,
  context: StepContext,
  dependencies: FindDependencies,
): Promise<StepResult> {
  const [node, ...others] = await nodesOf(instanceId, dependencies);
  if (others.length > 0) {
    const names = [node, ...others].map(each => each?.name).join(', ');
    const message = `instance ${instanceId} is claimed by several Chef nodes: ${names}; nothing was deleted. Delete the right one by its name, and discard this job`;
    throw new AppError('several-nodes', message, { reasons: [{ code: 'several-nodes', message }] });
  }
  if (node) {
    const result = await found(node, job, context, dependencies);
    return { ...result, facts: { ...result.facts, searched: true } };
  }
  const wait = INDEX_WAITS_MS[job.attempts - 1];
  if (wait !== undefined && job.node === null) {
    throw new AppError('not-found', `Chef’s search shows no node of instance ${instanceId}; it may lag`, {
      retryAfterMs: wait,
    });
  }
  return namedOtherwise(instanceId, job, context, dependencies);
}

/** Looks for a node that does not have the attribute, but says in another way that it is this instance. */
async function namedOtherwise(
  instanceId: string,
  job: JobRecord,
  context: StepContext,
  dependencies: FindDependencies,
): Promise<StepResult> {
  const { chef, attribute, instanceAttribute } = dependencies;
  const none: StepResult = {
    state: 'done',
    note: `Chef has no node of instance ${instanceId}`,
    facts: { inChef: false, searched: true },
    // Everything was removed when the job looked before.
    ...(job.touched && { ends: true }),
  };
  if (job.node !== null) return none;
  const byName = await chef.getNode(instanceId);
  if (byName && instanceOf(byName, dependencies) === undefined) {
    return found(byName, job, context, dependencies);
  }
  for (const path of OTHER_ATTRIBUTES.filter(each => each !== instanceAttribute)) {
    const names = (await chef.findNodeNames(path, instanceId)).filter(isNodeName);
    const nodes = await Promise.all(names.map(name => chef.getNode(name)));
    const node = nodes.find(each => each && attribute(each, path) === instanceId);
    if (node) return found(node, job, context, dependencies);
  }
  return none;
}

/** What search says counts only after the node itself says so. */
export async function nodesOf(
  instanceId: string,
  dependencies: NodeReading & { chef: ChefClient },
): Promise<ChefNode[]> {
  const { chef, instanceAttribute } = dependencies;
  const names = await chef.findNodeNames(instanceAttribute, instanceId);
  const nodes = await Promise.all(names.map(name => chef.getNode(name)));
  return nodes.filter(
    node => node !== undefined && instanceOf(node, dependencies) === instanceId,
  ) as ChefNode[];
}

function instanceOf(node: ChefNode, { attribute, instanceAttribute }: NodeReading): unknown {
  return attribute(node, instanceAttribute);
}

async function found(
  node: ChefNode,
  job: JobRecord,
  context: StepContext,
  { attribute, ohaiTime, instanceAttribute, location }: FindDependencies,
): Promise<StepResult> {
  if (job.node !== node.name || !('node' in job.event)) await context.claimNode(node.name);
  const text = (path: string) => {
    const value = attribute(node, path);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const { account, region } = location(node);
  const facts: Partial<Facts> = {
    inChef: true,
    ...monitorFacts(node, attribute),
    ...given('instance', text(instanceAttribute)),
    ...given('region', region),
    ...given('account', account),
    ...given('lastSeen', ohaiTime(node)?.getTime()),
  };
  return { state: 'done', note: `Chef node ${node.name}`, facts };
}

function given<K extends keyof Facts>(name: K, value: Facts[K] | undefined): Partial<Facts> {
  return value === undefined ? {} : { [name]: value };
}
