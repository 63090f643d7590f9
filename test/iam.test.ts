import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../', import.meta.url).pathname;

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
  const source = globSync('src/clients/*.ts', { cwd: root }).map(file =>
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

test('a host may publish to the one topic', () => {
  expect(statements('host')).toMatchObject([
    { Effect: 'Allow', Action: 'sns:Publish', Resource: expect.stringMatching(/^arn:aws:sns:[^*]+$/) },
  ]);
});

test('only what has no resources of its own is allowed on all', () => {
  const all = ['host', 'service', 'provisioning']
    .flatMap(statements)
    .filter(({ Resource }) => Resource === '*')
    .flatMap(({ Action }) => Action);
  expect(all).toEqual([
    'ec2:DescribeInstances',
    'sns:GetSubscriptionAttributes',
    'sns:SetSubscriptionAttributes',
  ]);
});
