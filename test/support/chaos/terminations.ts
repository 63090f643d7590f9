import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { GetQueueAttributesCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import type { Aws } from '../aws.ts';
import { TOKEN } from '../service.ts';
import { terminationNotice } from '../termination.ts';
import type { World } from '../world.ts';
import type { Random } from './random.ts';

export interface Host {
  name: string;
  instanceId: string;
}

export type Road = 'sns' | 'sqs' | 'api';
export const ROADS: readonly Road[] = ['sns', 'sqs', 'api'];

export interface Telling {
  /** Tells of a termination; resolves when whoever tells it may forget it. */
  tell: (host: Host, road: Road) => Promise<void>;
  /** How often something had to be told again. */
  readonly repeated: number;
  /** Whether nothing waits in the queue, and how many messages were given up. */
  queues: () => Promise<{ waiting: number; dead: number }>;
}

const RETRY_MS = 250;

export async function telling(world: World & { aws: Aws }, apiUrl: string, random: Random): Promise<Telling> {
  const { aws, publisher } = world;
  let repeated = 0;
  const queueUrl = (suffix = '') =>
    `${aws.url}/${aws.accountId}/${publisher.topicArn.split(':').at(-1)}${suffix}`;

  /** Pushed, and mirrored to the queue: the mirror has what the push gives up. */
  async function bySns({ instanceId }: Host): Promise<void> {
    const published = await publisher.publish(terminationNotice(instanceId));
    repeated += published.reduce((sum, { attempts }) => sum + attempts - 1, 0);
  }

  /** As EventBridge does, at least once. */
  async function bySqs({ instanceId }: Host): Promise<void> {
    const MessageBody = JSON.stringify({
      source: 'aws.ec2',
      'detail-type': 'EC2 Instance State-change Notification',
      detail: { 'instance-id': instanceId, state: 'terminated' },
    });
    for (let times = random.next() < 0.2 ? 2 : 1; times > 0; times--)
      await aws.sqs.send(new SendMessageCommand({ QueueUrl: queueUrl(), MessageBody }));
  }

  /** As a program that does not go on before it is told that its request was taken. */
  async function byApi({ name, instanceId }: Host): Promise<void> {
    const key = randomUUID();
    for (; ; repeated++) {
      const answer = await fetch(`${apiUrl}/events`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${TOKEN}`,
          'content-type': 'application/json',
          'idempotency-key': key,
        },
        body: JSON.stringify({ kind: 'delete', node: name, instanceId }),
        signal: AbortSignal.timeout(10_000),
      }).catch(() => undefined);
      if (answer?.status === 202) return;
      if (answer && answer.status < 500) throw new Error(`POST /events answered ${answer.status}`);
      await delay(RETRY_MS);
    }
  }

  const roads: Record<Road, (host: Host) => Promise<void>> = { sns: bySns, sqs: bySqs, api: byApi };
  return {
    tell: (host, road) => roads[road](host),
    get repeated() {
      return repeated;
    },
    async queues() {
      const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
      const count = async (QueueUrl: string) => {
        const { Attributes } = await aws.sqs.send(
          new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...names] }),
        );
        return names.reduce((sum, name) => sum + Number(Attributes?.[name] ?? 0), 0);
      };
      return { waiting: await count(queueUrl()), dead: await count(queueUrl(DEAD_LETTERS)) };
    },
  };
}

const DEAD_LETTERS = '-dead-letter';
