import { randomUUID } from 'node:crypto';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { pino } from 'pino';
import type { InboundMessage, Receipt } from '../../../src/api/receive.ts';
import { SigningCertificates } from '../../../src/api/sns/signing-certificates.ts';
import { createSnsVerifier } from '../../../src/api/sns/verify.ts';
import { type Poller, type PollerDependencies, startPoller } from '../../../src/api/sqs/poller.ts';
import { SqsClient } from '../../../src/clients/aws/sqs.ts';
import { type Aws, startAws } from '../aws.ts';
import { until } from '../process.ts';
import { type SnsPublisher, startSnsPublisher } from '../sns-publisher.ts';

export const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:terminations';

interface Queue {
  url: string;
  send: (body: unknown) => Promise<string>;
  /** Messages that are there, visible and hidden. */
  size: () => Promise<number>;
  deadLetters: () => Promise<string[]>;
}

/** Queues, and pollers of them that hand on what they read. */
export interface SqsFixture {
  aws: Aws;
  publisher: SnsPublisher;
  /** Lines of the pollers' log since they were last closed. */
  logged: string[];
  /** A queue that hides messages for a second by default, and gives up a message after three times. */
  makeQueue: (visibilitySeconds?: number, at?: Aws) => Promise<Queue>;
  /** Resolves when SQS shows a message again that it hid for so many seconds. */
  seconds: (hidden: number) => Promise<void>;
  /** A poller, and everything it handed on. */
  poll: (queue: Queue, options?: Partial<PollerDependencies>) => { poller: Poller; news: InboundMessage[] };
  closePollers: () => Promise<void>;
  stop: () => Promise<void>;
}

export async function startSqsFixture(): Promise<SqsFixture> {
  const [aws, publisher] = await Promise.all([startAws(), startSnsPublisher({ topicArn: TOPIC })]);
  const sqs = new SqsClient({ endpoint: aws.url, region: aws.region, credentials: aws.credentials });
  const distrust = publisher.authority.trust();
  const certificates = new SigningCertificates();
  const logged: string[] = [];
  const log = pino({ level: 'info' }, { write: line => void logged.push(line) });
  const pollers: Poller[] = [];

  const closePollers = async () => {
    await Promise.all(pollers.splice(0).map(poller => poller.close()));
    logged.length = 0;
  };
  return {
    aws,
    publisher,
    logged,
    closePollers,
    makeQueue: (visibilitySeconds = 1, at = aws) => makeQueue(at, visibilitySeconds),
    seconds: async hidden => {
      const witness = await makeQueue(aws, hidden);
      await witness.send('seen twice');
      const receive = () =>
        aws.sqs.send(new ReceiveMessageCommand({ QueueUrl: witness.url, WaitTimeSeconds: 1 }));
      await receive();
      await until('the witness to be seen again', async () => (await receive()).Messages?.length);
    },
    poll: (queue, options = {}) => {
      const news: InboundMessage[] = [];
      const receive = async (delivery: InboundMessage): Promise<Receipt> => {
        news.push(delivery);
        return (await options.receive?.(delivery)) ?? { outcome: 'ignored' };
      };
      const poller = startPoller([queue.url], {
        sqs,
        verify: createSnsVerifier({
          topics: () => new Set([TOPIC]),
          certificateHosts: [publisher.certHost],
          certificate: url => certificates.get(url),
        }),
        placeOf: { ofTopic: () => 'aws', ofQueue: () => 'aws' },
        ready: async () => {},
        log,
        ...options,
        receive,
      });
      pollers.push(poller);
      return { poller, news };
    },
    stop: async () => {
      await closePollers();
      sqs.close();
      await certificates.close();
      distrust();
      await publisher.stop();
      await aws.stop();
    },
  };
}

async function makeQueue(aws: Aws, visibilitySeconds: number): Promise<Queue> {
  const name = randomUUID();
  const { QueueUrl: dead = '' } = await aws.sqs.send(new CreateQueueCommand({ QueueName: `${name}-dead` }));
  const arn = `arn:aws:sqs:${aws.region}:${aws.accountId}:${name}-dead`;
  const { QueueUrl: url = '' } = await aws.sqs.send(
    new CreateQueueCommand({
      QueueName: name,
      Attributes: {
        VisibilityTimeout: String(visibilitySeconds),
        RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount: 3 }),
      },
    }),
  );
  return {
    url,
    async send(body) {
      const MessageBody = typeof body === 'string' ? body : JSON.stringify(body);
      const { MessageId = '' } = await aws.sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody }));
      return MessageId;
    },
    async size() {
      const { Attributes = {} } = await aws.sqs.send(
        new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['All'] }),
      );
      return (
        Number(Attributes['ApproximateNumberOfMessages']) +
        Number(Attributes['ApproximateNumberOfMessagesNotVisible'])
      );
    },
    async deadLetters() {
      const { Messages = [] } = await aws.sqs.send(
        new ReceiveMessageCommand({ QueueUrl: dead, MaxNumberOfMessages: 10, VisibilityTimeout: 0 }),
      );
      return Messages.map(({ Body = '' }) => Body);
    },
  };
}

export function registration(node: string) {
  return { type: 'registration', method: 'deregister', chef_name: node };
}
