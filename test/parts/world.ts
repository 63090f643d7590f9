import { type ChefServer, startChefServer } from './chef-server.ts';
import { type Nagios, startNagios } from './nagios.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { type SnsPublisher, startSnsPublisher } from './sns-publisher.ts';

export const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:chef-client-deregistration-queue-test';

/** Every part that the service speaks to, for real, and the settings that lead it there. */
export interface World {
  redis: RedisServer;
  chef: ChefServer;
  nagios: Nagios;
  publisher: SnsPublisher;
  env: NodeJS.ProcessEnv;
  stop: () => Promise<void>;
}

/** @param hosts hosts that Nagios knows */
export async function startWorld(hosts: string[]): Promise<World> {
  const [redis, chef, nagios, publisher] = await Promise.all([
    startRedis(),
    startChefServer(),
    startNagios({ hosts }),
    startSnsPublisher({ topicArn: TOPIC }),
  ]);
  const untrust = publisher.authority.trust();
  return {
    redis,
    chef,
    nagios,
    publisher,
    env: {
      REDIS_URL: redis.url,
      CHEF_SERVER_URL: chef.url,
      CHEF_CLIENT_NAME: chef.adminName,
      CHEF_CLIENT_KEY: chef.adminKey,
      NAGIOS_URL: nagios.url,
      NAGIOS_USERNAME: nagios.username,
      NAGIOS_PASSWORD: nagios.password,
      SNS_TOPIC_ARNS: TOPIC,
      SNS_CERT_HOSTS: publisher.certHost,
      NODE_EXTRA_CA_CERTS: publisher.caFile,
    },
    async stop() {
      untrust();
      await Promise.all([redis.stop(), chef.stop(), nagios.stop(), publisher.stop()]);
    },
  };
}

/** A made-up instance id, always the same for the same number. */
export function instanceId(number: number): string {
  return `i-0${number.toString(16).padStart(16, '0')}`;
}

/** What Auto Scaling says when an instance of a group has ended. */
export function terminationNotice(instance: string): object {
  return {
    AccountId: '000000000000',
    AutoScalingGroupName: 'web-asg',
    Service: 'AWS Auto Scaling',
    Event: 'autoscaling:EC2_INSTANCE_TERMINATE',
    EC2InstanceId: instance,
    Description: `Terminating EC2 instance: ${instance}`,
    StatusCode: 'InProgress',
    Time: new Date().toISOString(),
  };
}
