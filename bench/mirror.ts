import { CreateQueueCommand, GetQueueAttributesCommand, SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { Redis } from 'ioredis';
import { type Aws, startAws } from '../test/support/aws.ts';
import { type ChefServer, startChefServer } from '../test/support/chef-server.ts';
import { start, until } from '../test/support/process.ts';
import { type RedisServer, startRedis } from '../test/support/redis.ts';
import { type SnsPublisher, startSnsPublisher } from '../test/support/sns-publisher.ts';
import type { Measured, Section } from './measured.ts';
import { settingsOf } from './parts/doors.ts';
import { signedNotices } from './parts/notices.ts';
import { startMeasuredService } from './parts/service.ts';
import { newTerminations } from './parts/terminations.ts';
import { median } from './statistics.ts';

const MESSAGES = 3_000;
/** Of these, the first are for warming up and not counted. */
const WARM_UP = 1_000;
const REPETITIONS = 3;
const PREFIX = '{bench}';

interface Parts {
  aws: Aws;
  redis: RedisServer;
  chef: ChefServer;
  publisher: SnsPublisher;
}

/** Empties a queue, in a process of its own. */
type Drainer = (queueUrl: string, parts: Parts) => Promise<{ stop: () => Promise<void> }>;

/** The service makes one receive call after the other for each queue, and so does each consumer. */
const DRAINERS = {
  ours: startPoller,
  'one by one': (queueUrl, parts) => startConsumer(queueUrl, parts, []),
  batch: (queueUrl, parts) => startConsumer(queueUrl, parts, ['--batch']),
} satisfies Record<string, Drainer>;

export const mirror: Section = {
  title: 'Queue mirror: signed SNS envelopes in SQS, one receive at a time of each',
  async measure(tell) {
    const [aws, redis, chef, publisher] = await Promise.all([
      startAws({ durable: false }),
      startRedis(),
      startChefServer(),
      startSnsPublisher({ topicArn: 'arn:aws:sns:eu-west-1:000000000000:bench' }),
    ]);
    const parts = { aws, redis, chef, publisher };
    const connection = new Redis(redis.url);
    try {
      const bodies = signedNotices(publisher, newTerminations(MESSAGES)).map(String);
      const rates = new Map<string, number[]>();
      for (let repetition = 0; repetition < REPETITIONS; repetition++) {
        for (const [name, drainer] of Object.entries(DRAINERS)) {
          await connection.flushall();
          const queueUrl = await fill(aws, `${name.replaceAll(' ', '-')}-${repetition}`, bodies);
          const perSecond = await drain(aws, queueUrl, () => drainer(queueUrl, parts));
          if (name === 'ours') await assertKept(connection);
          rates.set(name, [...(rates.get(name) ?? []), perSecond]);
        }
      }
      for (const [name, each] of rates) tell(`${name}: ${each.map(Math.round)} messages a second`);
      const [ours = 0, oneByOne = 0, batch = 0] = [...rates.values()].map(median);
      return [
        line(ours, { what: 'sqs-consumer, empty handler', value: oneByOne }, { atLeast: 0.8 }),
        line(ours, { what: 'sqs-consumer, empty handler of batches', value: batch }),
      ];
    } finally {
      connection.disconnect();
      await Promise.all([aws.stop(), redis.stop(), chef.stop(), publisher.stop()]);
    }
  },
};

async function fill({ sqs }: Aws, name: string, bodies: string[]): Promise<string> {
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
  for (let at = 0; at < bodies.length; at += 10) {
    const Entries = bodies
      .slice(at, at + 10)
      .map((MessageBody, index) => ({ Id: String(index), MessageBody }));
    const { Failed = [] } = await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
    if (Failed.length > 0) throw new Error(`${name} refused messages: ${Failed[0]?.Message}`);
  }
  return QueueUrl;
}

/** Messages a second by which the queue empties, as the emulator counts them, after those for warming up. */
async function drain(
  { sqs }: Aws,
  QueueUrl: string,
  begin: () => Promise<{ stop: () => Promise<void> }>,
): Promise<number> {
  const left = async () => {
    const { Attributes = {} } = await sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl,
        AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
      }),
    );
    const { ApproximateNumberOfMessages: waiting, ApproximateNumberOfMessagesNotVisible: taken } = Attributes;
    return Number(waiting) + Number(taken);
  };
  const drainer = await begin();
  try {
    let begun = { at: 0, left: MESSAGES };
    await until('the queue to be empty', async () => {
      const now = { at: performance.now(), left: await left() };
      if (now.left > MESSAGES - WARM_UP) begun = now;
      return now.left === 0;
    });
    return (begun.left * 1000) / (performance.now() - begun.at);
  } finally {
    await drainer.stop();
  }
}

async function startPoller(queueUrl: string, { aws, redis, chef, publisher }: Parts): ReturnType<Drainer> {
  return startMeasuredService({
    ...aws.env,
    ...settingsOf({ redis, chef, publisher }),
    ROLES: 'poller',
    SQS_QUEUE_URLS: queueUrl,
    REDIS_PREFIX: PREFIX,
  });
}

function startConsumer(queueUrl: string, { aws }: Parts, args: string[]): ReturnType<Drainer> {
  return start(process.execPath, {
    args: [new URL('parts/sqs-consumer.ts', import.meta.url).pathname, '--queue', queueUrl, ...args],
    env: aws.env,
    ready: /started/,
  });
}

async function assertKept(connection: Redis): Promise<void> {
  const kept = await connection.zcard(`${PREFIX}:list:delete:queued`);
  if (kept !== MESSAGES) throw new Error(`the queue had ${MESSAGES} messages, and ${kept} became jobs`);
}

function line(ours: number, against: { what: string; value: number }, goal?: Measured['goal']): Measured {
  return {
    what: 'messages from queue to jobs',
    ours,
    unit: '/s',
    against,
    ratio: ours / against.value,
    ...(goal && { goal }),
  };
}
