import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Aws, startAws } from '../test/parts/aws.ts';
import { type ChefServer, startChefServer } from '../test/parts/chef-server.ts';
import { type Nagios, startNagios } from '../test/parts/nagios.ts';
import { startRedis } from '../test/parts/redis.ts';
import { type SnsPublisher, startSnsPublisher } from '../test/parts/sns-publisher.ts';

const QUEUE_ID = 'demo';

export interface Parts {
  chef: ChefServer;
  nagios: Nagios;
  aws: Aws;
  publisher: SnsPublisher;
  /** What leads the service to them. */
  env: NodeJS.ProcessEnv;
  stop: () => Promise<void>;
}

/** @param hosts names of the nodes, all of which Nagios watches at first */
export async function startParts(hosts: string[]): Promise<Parts> {
  const [redis, chef, nagios, aws] = await Promise.all([
    startRedis(),
    startChefServer(),
    startNagios({ hosts }),
    startAws({ durable: false }),
  ]);
  const topicArn = `arn:aws:sns:${aws.region}:${aws.accountId}:chef-client-deregistration-queue-${QUEUE_ID}`;
  const publisher = await startSnsPublisher({ topicArn, aws });
  const untrust = publisher.authority.trust();
  const rebuild = await serveRebuild(hosts, chef, nagios);
  return {
    chef,
    nagios,
    aws,
    publisher,
    env: {
      ...aws.env,
      QUEUE_ID,
      REDIS_URL: redis.url,
      CHEF_SERVER_URL: chef.url,
      CHEF_CLIENT_NAME: chef.adminName,
      CHEF_CLIENT_KEY: chef.adminKey,
      NAGIOS_URL: nagios.url,
      NAGIOS_USERNAME: nagios.username,
      NAGIOS_PASSWORD: nagios.password,
      SNS_CERT_HOSTS: publisher.certHost,
      NODE_EXTRA_CA_CERTS: publisher.caFile,
      CHEF_CLIENT_COMMAND: `${process.execPath} ${new URL('chef-client.ts', import.meta.url).pathname} ${rebuild.url}`,
      TRIGGER_SETTLE_SECONDS: '1',
    },
    async stop() {
      untrust();
      await Promise.all([rebuild, publisher, redis, chef, nagios, aws].map(part => part.stop()));
    },
  };
}

/** What chef-client does on a Nagios host, for its stand-in: the hosts are written anew from the nodes in Chef. */
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
