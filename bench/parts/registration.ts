import { type ChefServer, nodeOf } from '../../test/support/chef-server.ts';
import { until } from '../../test/support/process.ts';
import { each } from './comparator.ts';
import type { Termination } from './terminations.ts';

const AT_ONCE = 32;

/** Makes client and node of each host, all with one key, and waits until search shows them. */
export async function registerHosts(
  server: ChefServer,
  terminations: Termination[],
  publicKey: string,
): Promise<void> {
  await each(terminations, AT_ONCE, async ({ node, instanceId }) => {
    await server.chef.createClient({ name: node, public_key: publicKey });
    await server.chef.createNode(nodeOf({ name: node, instanceId }));
  });
  await until(
    'search to show every node',
    async () => (await nodesLeft(server, terminations)) === terminations.length,
  );
}

/** How many of them search shows. */
export async function nodesLeft({ chef }: ChefServer, terminations: Termination[]): Promise<number> {
  const listed = await chef.listNodes({ instance: 'ec2.instance_id' });
  const names = new Set(listed.map(({ name }) => name));
  return terminations.filter(({ node }) => names.has(node)).length;
}
