import {
  ChangeMessageVisibilityBatchCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type QueueAttributeName,
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { AppError } from '../../domain/errors.ts';
import { regionOfQueue } from '../../domain/queue-url.ts';
import { type AwsOptions, ByRegion, callAws, clientConfig } from './connection.ts';

export interface QueueMessage {
  queueUrl: string;
  /** SQS's own id of the message. */
  id: string;
  /** Of this one time that it was received; deleting and returning it need that. */
  receipt: string;
  body: string;
  /** When it came into the queue. */
  sentAt: Date;
  /** How often it was received, this time included. */
  receiveCount: number;
}

export type QueueAttributes = Partial<Record<QueueAttributeName, string>>;

/** Longest wait of a long poll. */
const WAIT_SECONDS = 20;
/** A long poll that says nothing for so much longer than it may wait is lost. */
const RECEIVE_TIMEOUT_MS = WAIT_SECONDS * 1000 + 8_000;

/** Amazon SQS, as far as the service calls it; queues are named by their URLs. Every call throws as `callAws` does. */
export class SqsClient {
  /** Maximum number of messages in one call. */
  readonly batch = 10;
  readonly #clients: ByRegion<SQSClient>;

  constructor(options: AwsOptions) {
    this.#clients = new ByRegion(
      region =>
        new SQSClient({
          ...clientConfig({ ...options, region: region ?? options.region }),
          // An emulator names queues by hosts that need not resolve.
          ...(options.endpoint && { useQueueUrlAsEndpoint: false }),
        }),
    );
  }

  /**
   * Waits up to 20 seconds for messages.
   * @param max at most 10
   * @param signal ends the wait; then there are none
   */
  async receive(queueUrl: string, max: number, signal: AbortSignal): Promise<QueueMessage[]> {
    const command = new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: max,
      WaitTimeSeconds: WAIT_SECONDS,
      MessageSystemAttributeNames: ['SentTimestamp', 'ApproximateReceiveCount'],
    });
    const call = { action: 'sqs:ReceiveMessage', resource: queueUrl, signal, timeoutMs: RECEIVE_TIMEOUT_MS };
    try {
      const { Messages = [] } = await callAws(call, options => this.#of(queueUrl).send(command, options));
      return Messages.map(({ MessageId = '', ReceiptHandle = '', Body = '', Attributes = {} }) => ({
        queueUrl,
        id: MessageId,
        receipt: ReceiptHandle,
        body: Body,
        sentAt: new Date(Number(Attributes.SentTimestamp ?? Date.now())),
        receiveCount: Number(Attributes.ApproximateReceiveCount ?? 1),
      }));
    } catch (error) {
      if (signal.aborted) return [];
      throw error;
    }
  }

  /** @param receipts at most 10 */
  async delete(queueUrl: string, receipts: string[]): Promise<void> {
    const command = new DeleteMessageBatchCommand({
      QueueUrl: queueUrl,
      Entries: receipts.map((ReceiptHandle, at) => ({ Id: String(at), ReceiptHandle })),
    });
    const call = { action: 'sqs:DeleteMessage', resource: queueUrl };
    const { Failed } = await callAws(call, options => this.#of(queueUrl).send(command, options));
    refuseFailed(call, Failed);
  }

  /**
   * Hides messages in flight for so many seconds from now; 0 returns them to the queue.
   * @param receipts at most 10
   */
  async changeVisibility(queueUrl: string, receipts: string[], seconds: number): Promise<void> {
    const command = new ChangeMessageVisibilityBatchCommand({
      QueueUrl: queueUrl,
      Entries: receipts.map((ReceiptHandle, at) => ({
        Id: String(at),
        ReceiptHandle,
        VisibilityTimeout: seconds,
      })),
    });
    const call = { action: 'sqs:ChangeMessageVisibility', resource: queueUrl };
    const { Failed } = await callAws(call, options => this.#of(queueUrl).send(command, options));
    refuseFailed(call, Failed);
  }

  /** @throws AppError `not-found` */
  async queueUrl(name: string): Promise<string> {
    const call = { action: 'sqs:GetQueueUrl', resource: await this.#arnOf(name) };
    const command = new GetQueueUrlCommand({ QueueName: name });
    const { QueueUrl = '' } = await callAws(call, options => this.#of().send(command, options));
    return QueueUrl;
  }

  /** @throws AppError `conflict` where it is there with other attributes; `unavailable` for a minute after it was deleted */
  async createQueue(name: string, attributes: QueueAttributes): Promise<string> {
    const call = { action: 'sqs:CreateQueue', resource: await this.#arnOf(name) };
    const command = new CreateQueueCommand({ QueueName: name, Attributes: attributes });
    const { QueueUrl = '' } = await callAws(call, options => this.#of().send(command, options));
    return QueueUrl;
  }

  async attributes(queueUrl: string, names: QueueAttributeName[]): Promise<QueueAttributes> {
    const call = { action: 'sqs:GetQueueAttributes', resource: queueUrl };
    const command = new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: names });
    const { Attributes = {} } = await callAws(call, options => this.#of(queueUrl).send(command, options));
    return Attributes;
  }

  async setAttributes(queueUrl: string, attributes: QueueAttributes): Promise<void> {
    const call = { action: 'sqs:SetQueueAttributes', resource: queueUrl };
    const command = new SetQueueAttributesCommand({ QueueUrl: queueUrl, Attributes: attributes });
    await callAws(call, options => this.#of(queueUrl).send(command, options));
  }

  close(): void {
    this.#clients.close();
  }

  #of(queueUrl?: string): SQSClient {
    return this.#clients.in(queueUrl === undefined ? undefined : regionOfQueue(queueUrl));
  }

  /** As far as it is known before the queue is there: what an IAM policy would have to name. */
  async #arnOf(name: string): Promise<string> {
    const region = await this.#of()
      .config.region()
      .catch(() => '*');
    return `arn:aws:sqs:${region}:*:${name}`;
  }
}

interface Failure {
  Code?: string | undefined;
  SenderFault?: boolean | undefined;
}

/** A batch that was answered may have failed in part. */
function refuseFailed(
  { action, resource }: { action: string; resource: string },
  failed: Failure[] = [],
): void {
  const [first] = failed;
  if (!first) return;
  throw new AppError(
    first.SenderFault ? 'rejected' : 'unavailable',
    `${action} on ${resource} failed for ${failed.length} of its messages: ${first.Code}`,
  );
}
