import { join } from 'node:path';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { freshDirectory, start } from './process.ts';

export interface AwsOptions {
  /** Whether topics, queues and messages outlive a restart, as AWS's own do. @default they do */
  durable?: boolean;
}

export interface Aws {
  /** The endpoint of every service. */
  readonly url: string;
  readonly region: string;
  readonly accountId: string;
  readonly credentials: { accessKeyId: string; secretAccessKey: string };
  /** What a program that uses an AWS SDK needs in its environment to talk to this one. */
  readonly env: Record<string, string>;
  readonly sns: SNSClient;
  readonly sqs: SQSClient;
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Kills it (-9) and starts it again on the same port; its state is kept where it is durable. */
  restart(): Promise<void>;
}

/** SNS, SQS and S3 of fauxqs, as a process of its own so that it can die and does not share the test's event loop. */
export async function startAws(options: AwsOptions = {}): Promise<Aws> {
  const region = 'eu-west-1';
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const dir = options.durable === false ? undefined : freshDirectory('aws');
  const launch = (port: number) =>
    start(process.execPath, {
      args: [
        join(import.meta.dirname, 'aws-server.ts'),
        ...['--port', String(port), '--region', region],
        ...(dir === undefined ? [] : ['--dir', dir]),
      ],
      ready: /listening on port \d+/,
    });
  let running = await launch(0);
  const port = Number(/listening on port (\d+)/.exec(running.output())?.[1]);
  const url = `http://127.0.0.1:${port}`;
  const client = { region, endpoint: url, credentials };
  const sns = new SNSClient(client);
  const sqs = new SQSClient(client);
  return {
    url,
    region,
    accountId: '000000000000',
    credentials,
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    sns,
    sqs,
    stop: async signal => {
      sns.destroy();
      sqs.destroy();
      await running.stop(signal);
    },
    restart: async () => {
      await running.stop('SIGKILL');
      running = await launch(port);
    },
  };
}
