import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Aws } from '../test/support/aws.ts';
import type { ChefServer } from '../test/support/chef-server.ts';
import type { Nagios } from '../test/support/nagios.ts';
import { startWorld, type World } from '../test/support/world.ts';

export type Parts = World & { aws: Aws };

/** @param hosts names of the nodes, all of which Nagios watches at first */
export async function startParts(hosts: string[]): Promise<Parts> {
  const world = await startWorld({ hosts, queueId: 'demo' });
  const { aws } = world;
  if (!aws) throw new Error('SNS and SQS are missing');
  const rebuild = await serveRebuild(hosts, world.chef, world.nagios);
  const command = `${process.execPath} ${new URL('chef-client.ts', import.meta.url).pathname} ${rebuild.url}`;
  return {
    ...world,
    aws,
    env: { ...world.env, CHEF_CLIENT_COMMAND: command, TRIGGER_SETTLE_SECONDS: '1' },
    async stop() {
      await rebuild.stop();
      await world.stop();
    },
  };
}

/** What chef-client does on a Nagios host, for its stand-in: the hosts are written again from the nodes in Chef. */
async function serveRebuild(hosts: string[], { chef }: ChefServer, nagios: Nagios) {
  const server = createServer(async (_request, response) => {
    const found = await Promise.all(hosts.map(async name => ((await chef.getNode(name)) ? [name] : [])));
    const names = found.flat();
    await nagios.setHosts(names);
    response.end(`Nagios watches ${names.join(', ')}\n`);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    stop: () => new Promise(resolve => server.close(resolve)),
  };
}
