import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SNSClient, UnsubscribeCommand } from '@aws-sdk/client-sns';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { SnsClient } from '../../../src/clients/aws/sns.ts';
import { SqsClient } from '../../../src/clients/aws/sqs.ts';
import { keepProvisioned } from '../../../src/provisioning/provision.ts';
import { type Aws, startAws } from '../../support/aws.ts';
import { queryError } from '../../support/clients/aws-stand-in.ts';
import { until } from '../../support/process.ts';
import { startSnsPublisher } from '../../support/sns-publisher.ts';
import { subscriptionsOf } from '../../support/sns-subscriptions.ts';

const PASSWORD = 'made-up-password';

let aws: Aws;
let sns: SnsClient;
let sqs: SqsClient;
/** Subscribe requests that are refused with an error that repeats the endpoint. */
let refusals = 0;

/** SNS in front of the emulator: it lists endpoints without their passwords. */
const front = createServer(async (incoming, outgoing) => {
  const body = await text(incoming);
  const form = new URLSearchParams(body);
  const answer = (status: number, xml: string) =>
    outgoing.writeHead(status, { 'content-type': 'text/xml' }).end(xml);
  if (form.get('Action') === 'Subscribe' && form.get('Protocol') === 'http' && refusals > 0) {
    refusals--;
    return void answer(
      400,
      queryError('InvalidParameter', `Invalid parameter: Endpoint ${form.get('Endpoint')}`),
    );
  }
  const { authorization = '', 'content-type': type = '' } = incoming.headers;
  const headers = { authorization, 'content-type': type };
  const { status, xml } = await fetch(new URL(incoming.url ?? '/', aws.url), {
    method: 'POST',
    headers,
    body,
  }).then(async response => ({ status: response.status, xml: await response.text() }));
  const lists = form.get('Action') === 'ListSubscriptionsByTopic';
  answer(status, lists ? xml.replace(/(\/\/[^:/@<]*):[^@<]*@/g, '$1:****@') : xml);
});
/** Confirms as the API does. */
const api = createServer(async (request, response) => {
  const { Type, TopicArn, Token } = JSON.parse(await text(request));
  if (Type === 'SubscriptionConfirmation') await sns.confirmSubscription(TopicArn, Token);
  response.end('{}');
});

beforeAll(async () => {
  aws = await startAws({ durable: false });
  for (const server of [front, api]) {
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  }
  const { region, credentials, url } = aws;
  sns = new SnsClient({ endpoint: addressOf(front), region, credentials });
  sqs = new SqsClient({ endpoint: url, region, credentials });
});
beforeEach(() => {
  refusals = 0;
});
afterAll(async () => {
  sns?.close();
  sqs?.close();
  for (const server of [front, api]) server.close();
  await aws?.stop();
});

function addressOf(server: typeof api): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Provisions until the test is over, for an address with this user and password. */
async function keep(
  name: string,
  userinfo = `sns:${PASSWORD}`,
): Promise<{ logged: () => string; topicArn: string }> {
  const lines: string[] = [];
  const topicArn = `arn:aws:sns:${aws.region}:${aws.accountId}:${name}`;
  const publisher = await startSnsPublisher({ topicArn, aws });
  const keeping = keepProvisioned({
    ...{ sns, sqs, name, create: true },
    onReady: () => {},
    log: pino({ level: 'trace' }, { write: line => void lines.push(line) }),
    publicUrl: new URL(addressOf(api).replace('//', `//${userinfo}@`)),
    confirmWaitMs: 50,
    refusedWaitMs: 50,
  });
  onTestFinished(async () => {
    await keeping.close();
    await publisher.stop();
  });
  await until('the address to be asked to confirm, and to confirm', async () => {
    await publisher.requestConfirmations();
    return lines.join('').includes('SNS pushes to this service');
  });
  return { logged: () => lines.join(''), topicArn };
}

async function pushes(topicArn: string): Promise<string[]> {
  const all = await subscriptionsOf(aws, topicArn);
  return all.filter(({ protocol }) => protocol === 'http').map(({ endpoint }) => endpoint);
}

test('an address with a password is known again, although SNS lists it without', async () => {
  const { topicArn } = await keep('known-again');
  await keep('known-again');
  expect(await pushes(topicArn)).toHaveLength(1);
});

test('an address whose password changed is subscribed again, and the log says how to remove the old subscription', async () => {
  const { topicArn } = await keep('changed', 'sns:an-earlier-password');
  const { logged } = await keep('changed');
  expect((await pushes(topicArn)).map(endpoint => new URL(endpoint).password).sort()).toEqual([
    'an-earlier-password',
    PASSWORD,
  ]);
  const [, arn = ''] = /aws sns unsubscribe --subscription-arn (\S+)"/.exec(logged()) ?? [];
  const { region, credentials, url: endpoint } = aws;
  await new SNSClient({ region, credentials, endpoint }).send(
    new UnsubscribeCommand({ SubscriptionArn: arn }),
  );
  expect((await pushes(topicArn)).map(endpoint => new URL(endpoint).password)).toEqual([PASSWORD]);
});

test('the password of an address is not logged, whatever SNS answers', async () => {
  refusals = 4;
  const { logged } = await keep('not-logged');
  expect(refusals).toBe(0);
  expect(logged()).toMatch(/Invalid parameter: Endpoint http:\/\/sns:\*\*\*\*@127/);
  expect(logged()).toContain('//sns:****@');
  expect(logged()).not.toContain(PASSWORD);
});
