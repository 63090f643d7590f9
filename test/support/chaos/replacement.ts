import { isDeepStrictEqual } from 'node:util';
import { type ChefServer, keyPair, nodeOf } from '../chef-server.ts';
import { until } from '../process.ts';
import type { World } from '../world.ts';

/** A new machine that has the name of an old one. */
export interface Replacement {
  name: string;
  registeredAt: number;
  /** What the Chef server had of it right after it registered. */
  registered: object;
}

/** Nagios writes its status once a second here. */
const STATUS_MS = 5_000;

let keys: ReturnType<typeof keyPair> | undefined;

/** Registers a machine as a bootstrap does: node and client of its name are removed, and both are made again. */
export async function registerReplacement(
  { chef }: ChefServer,
  { name, instanceId }: { name: string; instanceId: string },
): Promise<Replacement> {
  keys ??= keyPair();
  await Promise.all([chef.deleteNode(name), chef.deleteClient(name)]);
  await chef.createClient({ name, public_key: keys.publicKey });
  await chef.createNode(nodeOf({ name, instanceId }));
  return { name, registeredAt: Date.now(), registered: await chef.snapshot(name) };
}

/** What is not as the replacement registered it. */
export async function changesOf(
  { chef }: Pick<World, 'chef'>,
  { name, registered }: Replacement,
): Promise<string[]> {
  const now: Record<string, unknown> = { ...(await chef.chef.snapshot(name)) };
  return Object.entries(registered)
    .filter(([part, before]) => !isDeepStrictEqual(now[part], before))
    .map(([part]) => `its ${part} ${now[part] === null ? 'is gone' : 'is another'}`);
}

/** The downtimes of a host that a job set and that stay; one that was just cancelled is listed until the next status. */
export async function downtimesOf({ nagios }: World, host: string, jobId: string): Promise<string[]> {
  const listed = async () =>
    (await nagios.downtimes()).filter(each => each.host_name === host && each.comment.includes(jobId));
  const none = async () => (await listed()).length === 0;
  if (await until('no downtime', none, STATUS_MS).catch(() => false)) return [];
  return (await listed()).map(({ service_description: service }) =>
    service ? `its service ${service} is in downtime` : 'it is in downtime',
  );
}
