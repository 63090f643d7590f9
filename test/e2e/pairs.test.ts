import { ListQueuesCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { registerNode } from '../support/chef-server.ts';
import { signHostMessage } from '../support/host-message.ts';
import { freePort, until } from '../support/process.ts';
import { GONE, type SceneService, useScene, WHOLE } from '../support/scene.ts';
import { subscriptionsOf } from '../support/sns-subscriptions.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';

const scene = useScene({ queueId: 'pairs' });
const NAME = 'chef-client-deregistration-queue-pairs';

async function serve(): Promise<SceneService> {
  const port = String(await freePort());
  return scene.serve({ PROVISION: 'true', PORT: port, PUBLIC_URL: `http://127.0.0.1:${port}` });
}

function aws() {
  if (!scene.world.aws) throw new Error('SNS and SQS are missing');
  return scene.world.aws;
}

test('two pairs of topic and queue are made, pushed to the service and polled', async () => {
  const service = await serve();
  for (const topic of [scene.world.hosts, scene.world.publisher]) {
    const subscriptions = await until('both subscriptions', async () => {
      await topic.requestConfirmations();
      const all = await subscriptionsOf(aws(), topic.topicArn);
      return all.length === 2 && all.every(({ pending }) => !pending) && all;
    });
    expect(subscriptions.map(({ protocol }) => protocol).sort()).toEqual(['http', 'sqs']);
  }
  expect(
    [scene.world.hosts, scene.world.publisher].map(({ topicArn }) => topicArn.split(':').at(-1)),
  ).toEqual([NAME, `${NAME}-aws`]);
  const { QueueUrls = [] } = await aws().sqs.send(new ListQueuesCommand({}));
  expect(QueueUrls.map(url => url.split('/').at(-1)).sort()).toEqual([
    NAME,
    `${NAME}-aws`,
    `${NAME}-aws-dead-letter`,
    `${NAME}-dead-letter`,
  ]);

  // One from each topic, pushed and mirrored, and one from each queue.
  const [published, bare] = [instanceId(1), instanceId(2)];
  await registerNode(scene.world.chef, { name: 'by-topic', instanceId: published });
  await registerNode(scene.world.chef, { name: 'by-queue', instanceId: bare });
  await scene.world.publisher.publish(terminationNotice(published));
  const QueueUrl = QueueUrls.find(url => url.endsWith(`${NAME}-aws`));
  const MessageBody = JSON.stringify(terminationNotice(bare));
  await aws().sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
  const hosts = [];
  for (const [at, name] of ['host-by-topic', 'host-by-queue'].entries()) {
    const { privateKey } = await registerNode(scene.world.chef, { name, instanceId: instanceId(3 + at) });
    hosts.push({ name, message: scene.signed(privateKey, { method: 'delete', chef_name: name }) });
  }
  const [byTopic, byQueue] = hosts;
  await scene.world.hosts.publish(byTopic?.message);
  await aws().sqs.send(
    new SendMessageCommand({
      QueueUrl: QueueUrls.find(url => url.endsWith(NAME)),
      MessageBody: JSON.stringify(byQueue?.message),
    }),
  );
  for (const name of ['by-topic', 'by-queue', 'host-by-topic', 'host-by-queue']) {
    await expect.poll(() => scene.registered(name), { timeout: 20_000 }).toEqual(GONE);
  }
  await service.rested();
  expect(await service.api.jobs()).toHaveLength(4);
});

test('a host signs for the topic of hosts; its signature for the topic of AWS services does not count', async () => {
  const service = await serve();
  const { privateKey } = await registerNode(scene.world.chef, { name: 'misled', instanceId: instanceId(9) });
  const message = { type: 'registration', method: 'delete', chef_name: 'misled' };
  const forAws = signHostMessage(message, { privateKey, topicArn: scene.world.publisher.topicArn });
  const published = await until('the topic to be known', async () => {
    const answer = await service.publishAsHost(forAws);
    return answer.status === 200 && answer;
  });
  expect(published.outcome).toBe('quarantined');
  expect(await scene.registered('misled')).toEqual(WHOLE);
});
