import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readHostSignature } from '../../../src/domain/host-signature.ts';
import { keyPair } from '../../support/chef-server.ts';
import { type Host, makeHost } from '../../support/host/host.ts';
import { type MetadataService, roleCredentials, startMetadata } from '../../support/host/metadata.ts';
import { awsAuthorization, type SnsListener, startSnsListener } from '../../support/host/sns-requests.ts';
import { shellProgram } from '../../support/process.ts';

/** What may be /bin/sh of a host. */
const SHELLS = ['dash', 'bash', 'busybox', 'mksh', 'ksh93', 'zsh', 'yash', 'posh'];
const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:chef-client-deregistration-queue-test';
const INSTANCE = 'i-0123456789abcdef0';
const ROLE = { id: 'ASIAROLE', secret: 'ro/le+secret', token: 'FwoGZXIvYXdzE/session+token==' };
const { privateKey } = keyPair();

let sns: SnsListener;
let metadata: MetadataService;
/** What the metadata service serves; tests change it while it serves. */
let tree: Record<string, string>;

beforeAll(async () => {
  tree = {};
  [sns, metadata] = await Promise.all([startSnsListener(), startMetadata(tree)]);
});
beforeEach(() => {
  sns.requests.length = 0;
  metadata.asked.length = 0;
  Object.assign(tree, {
    'instance-id': INSTANCE,
    'autoscaling/target-lifecycle-state': 'Terminated',
    'iam/security-credentials/': 'web-role',
    'iam/security-credentials/web-role': roleCredentials(ROLE),
  });
});
afterAll(async () => {
  await sns?.stop();
  await metadata?.stop();
});

test('the host’s program is ASCII, since a shell may read it in any locale', () => {
  const program = readFileSync(new URL('../../../host/chef-registration-init', import.meta.url), 'latin1');
  expect(program.split('\n').filter(line => /[^\t -~]/.test(line))).toEqual([]);
});

describe.each(SHELLS)('where sh is %s, the host’s program', name => {
  let host: Host;

  beforeEach(() => {
    const shell = shellProgram(name);
    const settings = { TOPIC_ARN: TOPIC, SNS_ENDPOINT: sns.url, METADATA_ENDPOINT: metadata.url };
    host = makeHost({ key: privateKey, node: 'web-1', settings, shell });
    host.systemdJobs('poweroff.target start');
  });

  const message = () => JSON.parse(new URLSearchParams(sns.requests[0]?.body).get('Message') ?? 'null');

  test('notes the instance at start and publishes its signed deletion at power-off', async () => {
    expect(await host.run(['start'])).toMatchObject({ code: 0, stderr: '' });
    metadata.asked.length = 0;
    const { code, stderr } = await host.run(['stop']);
    expect(code).toBe(0);
    expect(stderr).toBe(`chef-registration-init: published delete of web-1 (${INSTANCE}) to ${TOPIC}\n`);
    expect(metadata.asked.join('\n')).not.toContain('instance-id');
    expect(message()).toMatchObject({ method: 'delete', chef_name: 'web-1', instance_id: INSTANCE });
    expect(readHostSignature(message())).not.toHaveProperty('fault');
    const [request] = sns.requests;
    if (!request) throw new Error('one request was expected');
    const role = { accessKeyId: ROLE.id, secretAccessKey: ROLE.secret, sessionToken: ROLE.token };
    expect(await awsAuthorization(request, role)).toBe(request.headers.authorization);
  });

  test.each([
    ['a reboot', () => host.systemdJobs('reboot.target start')],
    ['a stop of the unit', () => host.systemdJobs()],
    ['a reboot without systemd', () => host.runlevel('2 6')],
    [
      'an instance that goes into a warm pool',
      () => (tree['autoscaling/target-lifecycle-state'] = 'Warmed:Stopped'),
    ],
    ['a Spot instance that is stopped', () => (tree['spot/instance-action'] = '{"action": "stop"}')],
  ])('publishes nothing at %s', async (_, leave) => {
    leave();
    expect(await host.run(['stop'])).toMatchObject({ code: 0, stdout: '' });
    delete tree['spot/instance-action'];
    expect(sns.requests).toEqual([]);
  });

  test('publishes what a person asks for, of a host that is not in EC2 and has a profile of its own', async () => {
    mkdirSync(join(host.directory, '.aws'));
    const credentials = '[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = d/e+f\n';
    writeFileSync(join(host.directory, '.aws/credentials'), credentials);
    const about = ['--method=ensure', '--chef-node', 'db-1', '--nagios-node=db', '-v'];
    const { code, stderr } = await host.run(about, { AWS_EC2_METADATA_DISABLED: 'true' });
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining('published ensure of db-1'),
    });
    expect(message()).toMatchObject({ method: 'ensure', chef_name: 'db-1', nagios_name: 'db' });
    expect(message()).not.toHaveProperty('instance_id');
    expect(sns.requests[0]?.headers.authorization).toContain('Credential=AKIADEFAULT/');
  });

  test('publishes a name of Nagios with blanks, and none with characters that Nagios forbids', async () => {
    const about = ['--method=delete', '--instance-id', INSTANCE];
    expect(await host.run([...about, '--nagios-node=Web Server 1 (old)'])).toMatchObject({ code: 1 });
    for (const name of [
      'a"b',
      'a\\b',
      'a\tb',
      'a\nb',
      'a\n',
      'a\u007fb',
      ' a',
      'a ',
      'a;b',
      "a'b",
      'a$b',
      'a`b',
      'a!b',
    ])
      expect({ name, ...(await host.run([...about, `--nagios-node=${name}`])) }).toMatchObject({
        name,
        code: 1,
      });
    expect(sns.requests).toEqual([]);
    expect(await host.run([...about, '--nagios-node=Web Server 1: old'])).toMatchObject({ code: 0 });
    expect(message()).toMatchObject({ nagios_name: 'Web Server 1: old' });
  });

  test('shows how it is called if nothing is asked of it, and refuses what it does not know', async () => {
    expect(await host.run([])).toMatchObject({ code: 2, stderr: expect.stringMatching(/^usage: /) });
    expect(await host.runAlone()).toMatchObject({ code: 2, stderr: expect.stringMatching(/^usage: /) });
    expect(await host.run(['--help'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^usage: /) });
    expect((await host.run(['--what'])).code).toBe(2);
    expect(await host.run(['--method=delete', '--chef-node=$(touch made)'])).toMatchObject({ code: 1 });
    expect(existsSync('made')).toBe(false);
    expect(sns.requests).toEqual([]);
  });

  test('reads settings with blanks, quotes and line ends of Windows as they are meant', async () => {
    const conf = join(host.directory, 'client.conf');
    const lines = [
      '# einstellungen für den Abschied…\r',
      '\r',
      `TOPIC_ARN="${TOPIC}" \t\r`,
      "CHEF_NODE='quoted'\t",
      'NAGIOS_NODE=ends-here',
      `CLIENT_KEY=${join(host.directory, 'client.pem')}  `,
      'INSTANCE_ID=i-0123abcd',
    ];
    writeFileSync(conf, lines.join('\n'));
    const env = { AWS_EC2_METADATA_DISABLED: 'true', LC_ALL: 'C' };
    const { stdout, stderr } = await host.run(['--dry-run'], env);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      chef_name: 'quoted',
      nagios_name: 'ends-here',
      instance_id: 'i-0123abcd',
    });
  });

  test('does not hang at a settings file in another encoding', async () => {
    const conf = join(host.directory, 'client.conf');
    writeFileSync(conf, Buffer.concat([Buffer.from('# f\xfcr\n', 'latin1'), readFileSync(conf)]));
    await host.run(['stop'], { LC_ALL: 'C' });
    const log = existsSync(join(host.directory, 'log'))
      ? readFileSync(join(host.directory, 'log'), 'utf8')
      : '';
    // yash cannot read it, and says so; all others can.
    if (name === 'yash') expect(log).toContain(`TOPIC_ARN in ${conf} must be`);
    else expect(message()).toMatchObject({ chef_name: 'web-1' });
  });

  test('gives up in time, logs why and lets the machine go on', async () => {
    host.standIn('curl', 'sleep 60');
    writeFileSync(join(host.directory, 'client.conf'), `TOPIC_ARN=${TOPIC}\nTIME_LIMIT_SECONDS=1\n`);
    expect(await host.run(['stop'])).toMatchObject({ code: 0 });
    expect(readFileSync(join(host.directory, 'log'), 'utf8')).toContain('gave up after 1 s');
  });

  test('shows no secret to who lists the processes', async () => {
    for (const [program, path] of [
      ['curl', '/usr/bin/curl'],
      // A part of some shells, and a program for others.
      ['printf', '/usr/bin/printf'],
      ['echo', '/bin/echo'],
    ])
      host.standIn(program ?? '', `echo "$*" >> ${host.directory}/arguments; exec ${path} "$@"`);
    await host.run(['stop']);
    expect(sns.requests).toHaveLength(1);
    const seen = readFileSync(join(host.directory, 'arguments'), 'utf8');
    expect(seen).toContain('Action=Publish');
    for (const secret of [ROLE.secret, ROLE.token, 'AQAEAO']) expect(seen).not.toContain(secret);
  });
});
