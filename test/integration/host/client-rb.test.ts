import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { keyPair } from '../../support/chef-server.ts';
import { makeHost } from '../../support/host/host.ts';

const host = makeHost({
  key: keyPair().privateKey,
  settings: {
    TOPIC_ARN: 'arn:aws:sns:eu-west-1:000000000000:terminations',
    INSTANCE_ID: 'i-0123456789abcdef0',
  },
  env: { AWS_EC2_METADATA_DISABLED: 'true' },
});
host.standIn('hostname', 'echo its-own-name');

test.each([
  ["node_name 'web-1'", 'web-1'],
  ['node_name "web-1" # its name', 'web-1'],
  ["node_name('web-1')", 'web-1'],
  ["  node_name ( 'web-1' )", 'web-1'],
  ["\tnode_name\t'web-1'", 'web-1'],
  ["node_name 'old'\nnode_name 'web-1'", 'web-1'],
  ["# node_name 'old'\n#node_name 'old'", 'its-own-name'],
  ["node_name_of 'old'", 'its-own-name'],
  ['node_name "web-#{1}"', 'its-own-name'],
  ['node_name Socket.gethostname', 'its-own-name'],
])('%j in client.rb names the node %s', async (line, name) => {
  const key = `client_key '${join(host.directory, 'client.pem')}'`;
  writeFileSync(join(host.directory, 'client.rb'), `${key}\n${line}`);
  const { stdout } = await host.run(['--dry-run']);
  expect(JSON.parse(stdout)).toMatchObject({ chef_name: name });
});
