import { type Aws, startAws } from './aws.ts';
import { type ChefServer, startChefServer } from './chef-server.ts';
import { type Nagios, type NagiosHost, startNagios } from './nagios.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { type SnsPublisher, startSnsPublisher } from './sns-publisher.ts';

/** Every part that the service speaks to, for real, and the settings that lead it there. */
export interface World {
  redis: RedisServer;
  chef: ChefServer;
  nagios: Nagios;
  /** Publishes to the topic to which only AWS services write. */
  publisher: SnsPublisher;
  /** Publishes to the topic to which hosts write. */
  hosts: SnsPublisher;
  /** SNS, SQS and S3, where they were asked for. */
  aws: Aws | undefined;
  env: NodeJS.ProcessEnv;
  stop: () => Promise<void>;
}

export interface WorldOptions {
  /** Hosts that Nagios knows. */
  hosts: (string | NagiosHost)[];
  /** How often Nagios writes what its CGIs show. */
  statusUpdateSeconds?: number;
  /** Starts SNS and SQS, where the service finds or makes its two pairs of this id; without it, it is told two topics. */
  queueId?: string;
  /** Of redis-server. */
  redisArguments?: string[];
}

export async function startWorld(options: WorldOptions): Promise<World> {
  const { hosts, statusUpdateSeconds = 1, queueId, redisArguments = [] } = options;
  const [redis, chef, nagios, aws] = await Promise.all([
    startRedis({ args: redisArguments }),
    startChefServer(),
    startNagios({ hosts, statusUpdateSeconds }),
    queueId === undefined ? undefined : startAws({ durable: false }),
  ]);
  const hostTopic = `arn:aws:sns:eu-west-1:000000000000:chef-client-deregistration-queue-${queueId ?? 'test'}`;
  const topicArn = `${hostTopic}-aws`;
  const publisher = await startSnsPublisher({ topicArn, ...(aws && { aws }) });
  const untrust = publisher.authority.trust();
  return {
    redis,
    chef,
    nagios,
    publisher,
    hosts: publisher.on(hostTopic),
    aws,
    env: {
      REDIS_URL: redis.url,
      CHEF_SERVER_URL: chef.url,
      CHEF_CLIENT_NAME: chef.adminName,
      CHEF_CLIENT_KEY: chef.adminKey,
      NAGIOS_URL: nagios.url,
      NAGIOS_USERNAME: nagios.username,
      NAGIOS_PASSWORD: nagios.password,
      SNS_CERT_HOSTS: publisher.certHost,
      NODE_EXTRA_CA_CERTS: publisher.caFile,
      ...(aws ? { ...aws.env, QUEUE_ID: queueId } : { SNS_TOPIC_ARNS: topicArn, HOST_TOPIC_ARNS: hostTopic }),
    },
    async stop() {
      untrust();
      await Promise.all([redis, chef, nagios, publisher, aws].map(part => part?.stop()));
    },
  };
}
