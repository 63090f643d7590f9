import { CreateTopicCommand, SubscribeCommand } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SnsClient } from '../../../../src/clients/aws/sns.ts';
import { describe as describeError } from '../../../../src/domain/errors.ts';
import { type Aws, startAws } from '../../../support/aws.ts';
import { type AwsStandIn, queryError, startAwsStandIn } from '../../../support/clients/aws-stand-in.ts';
import { subscriptionsOf } from '../../../support/sns-subscriptions.ts';

const TOPIC = 'arn:aws:sns:ap-south-1:111122223333:terminations';

let aws: Aws;
let client: SnsClient;
let api: AwsStandIn;
let refused: SnsClient;

beforeAll(async () => {
  aws = await startAws();
  client = new SnsClient({ endpoint: aws.url, region: aws.region, credentials: aws.credentials });
  api = await startAwsStandIn();
  refused = new SnsClient(api.options);
});

afterAll(async () => {
  client?.close();
  refused?.close();
  api?.stop();
  await aws?.stop();
});

test('a subscription is confirmed by its token, and a wrong token is the sender’s fault', async () => {
  const { TopicArn = '' } = await aws.sns.send(new CreateTopicCommand({ Name: 'confirmed' }));
  const { SubscriptionArn = '' } = await aws.sns.send(
    new SubscribeCommand({ TopicArn, Protocol: 'http', Endpoint: 'http://127.0.0.1:1/sns' }),
  );
  await expect(client.confirmSubscription(TopicArn, 'wrong')).rejects.toMatchObject({
    code: 'invalid',
    field: 'Token',
  });
  await client.confirmSubscription(TopicArn, SubscriptionArn);
  expect(await subscriptionsOf(aws, TopicArn)).toMatchObject([{ pending: false }]);
});

test('only the topic’s owner can end what we confirmed, and it is asked in the topic’s region', async () => {
  api.asked.length = 0;
  api.answers = [
    {
      status: 200,
      body: '<ConfirmSubscriptionResponse><ConfirmSubscriptionResult><SubscriptionArn>x</SubscriptionArn></ConfirmSubscriptionResult></ConfirmSubscriptionResponse>',
    },
  ];
  await refused.confirmSubscription(TOPIC, 'token');
  expect(api.asked).toMatchObject([
    {
      scope: 'ap-south-1/sns',
      form: {
        Action: 'ConfirmSubscription',
        TopicArn: TOPIC,
        Token: 'token',
        AuthenticateOnUnsubscribe: 'true',
      },
    },
  ]);
});

test('a topic is there or not, and all of its subscriptions are listed', async () => {
  const topicArn = `arn:aws:sns:${aws.region}:${aws.accountId}:many`;
  expect(await client.topicExists(topicArn)).toBe(false);
  await client.createTopic(topicArn, { SignatureVersion: '2' });
  expect(await client.topicExists(topicArn)).toBe(true);
  // A page of SNS holds 100.
  for (let at = 0; at < 101; at++) await client.subscribe(topicArn, 'http', `http://127.0.0.1:1/${at}`);
  expect(await client.subscriptions(topicArn)).toHaveLength(101);
});

test('a subscription that waits for its confirmation has no ARN', async () => {
  api.answers = [
    {
      status: 200,
      body: `<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions><member><TopicArn>${TOPIC}</TopicArn><Protocol>https</Protocol><SubscriptionArn>PendingConfirmation</SubscriptionArn><Owner>111122223333</Owner><Endpoint>https://us.example.com/sns</Endpoint></member></Subscriptions></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>`,
    },
  ];
  expect(await refused.subscriptions(TOPIC)).toEqual([
    { arn: undefined, protocol: 'https', endpoint: 'https://us.example.com/sns' },
  ]);
});

test('a call that IAM forbids names the action and the topic, and keeps what AWS said', async () => {
  const said = 'User: x is not authorized to perform: SNS:Subscribe on resource: y';
  api.answers = [{ status: 403, body: queryError('AuthorizationError', said) }];
  const error = await refused.subscribe(TOPIC, 'sqs', 'arn').catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'permission' });
  expect(describeError(error)).toMatch(
    /sns:Subscribe on arn:aws:sns:ap-south-1:111122223333:terminations.*User: x/,
  );
});

test('throttling is unavailable, once it does not end', async () => {
  api.answers = [{ status: 400, body: queryError('Throttling', 'Rate exceeded') }];
  await expect(refused.topicExists(TOPIC)).rejects.toMatchObject({ code: 'unavailable' });
});
