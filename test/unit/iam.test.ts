import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url).pathname;

interface Statement {
  Sid: string;
  Effect: string;
  Action: string | string[];
  Resource: string | string[];
}

function statements(name: string): Statement[] {
  return JSON.parse(readFileSync(join(root, 'iam', `${name}.json`), 'utf8')).Statement;
}

function actions(name: string): string[] {
  return statements(name).flatMap(({ Action }) => Action);
}

/** Actions as the clients name them in their errors. */
function called(): Set<string> {
  const source = globSync('src/clients/**/*.ts', { cwd: root }).map(file =>
    readFileSync(join(root, file), 'utf8'),
  );
  return new Set(
    source.flatMap(text => text.match(/(?<=')(sns|sqs|s3|ec2|autoscaling):[A-Z]\w+(?=')/g) ?? []),
  );
}

test('service and provisioning may do what the clients do, and nothing else', () => {
  expect(called().size).toBeGreaterThan(15);
  expect([...new Set([...actions('service'), ...actions('provisioning')])].sort()).toEqual(
    [...called()].sort(),
  );
});

test('a host may publish to the topic of hosts, and to nothing else', () => {
  expect(statements('host')).toMatchObject([
    {
      Effect: 'Allow',
      Action: 'sns:Publish',
      Resource: expect.stringMatching(/^arn:aws:sns:[^*]+-QUEUE_ID$/),
    },
  ]);
});

test.each(['service', 'provisioning'])('%s has both pairs of topic and queue in each statement', name => {
  const resources = statements(name).map(({ Resource }) => [Resource].flat());
  for (const named of resources.filter(each => each.some(arn => arn.includes('-QUEUE_ID')))) {
    const ofHosts = named.filter(arn => /-QUEUE_ID(?!-aws)/.test(arn));
    const ofAws = named.filter(arn => /-QUEUE_ID-aws/.test(arn));
    expect(ofAws).toEqual(ofHosts.map(arn => arn.replace('-QUEUE_ID', '-QUEUE_ID-aws')));
  }
});

test('only what has no resources of its own is allowed on all', () => {
  const all = ['host', 'service', 'provisioning']
    .flatMap(statements)
    .filter(({ Resource }) => Resource === '*')
    .flatMap(({ Action }) => Action);
  expect(all).toEqual([
    'ec2:DescribeInstances',
    'autoscaling:DescribeAutoScalingInstances',
    'sns:GetSubscriptionAttributes',
    'sns:SetSubscriptionAttributes',
  ]);
});
