import { parseArgs } from 'node:util';
import { SQSClient } from '@aws-sdk/client-sqs';
import { Consumer } from 'sqs-consumer';

// Takes what is in a queue and does nothing with it; endpoint, region and credentials come from the environment.
const { values } = parseArgs({
  options: { queue: { type: 'string' }, batch: { type: 'boolean', default: false } },
});
const consumer = Consumer.create({
  queueUrl: values.queue ?? '',
  sqs: new SQSClient({ useQueueUrlAsEndpoint: false }),
  batchSize: 10,
  ...(values.batch
    ? { handleMessageBatch: async messages => messages }
    : { handleMessage: async message => message }),
});
consumer.on('error', error => console.error(error));
consumer.on('started', () => console.log('started'));
process.once('SIGTERM', () => {
  consumer.once('stopped', () => process.exit(0));
  consumer.stop({ abort: true });
});
consumer.start();
