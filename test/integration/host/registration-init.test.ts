import { createPublicKey, verify } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readHostSignature } from '../../../src/domain/host-signature.ts';
import { isNagiosHostName, isNodeName } from '../../../src/domain/identifiers.ts';
import { keyPair } from '../../support/chef-server.ts';
import { type Host, type HostOptions, makeHost } from '../../support/host/host.ts';
import { type MetadataService, roleCredentials, startMetadata } from '../../support/host/metadata.ts';
import { awsAuthorization, type SnsListener, startSnsListener } from '../../support/host/sns-requests.ts';
import { freePort } from '../../support/process.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:chef-client-deregistration-queue-test';
const INSTANCE = 'i-0123456789abcdef0';
const ROLE = { id: 'ASIAROLE', secret: 'ro/le+secret', token: 'FwoGZXIvYXdzE/session+token==' };
const TREE = {
  'instance-id': INSTANCE,
  'iam/security-credentials/': 'web-role\n',
  'iam/security-credentials/web-role': roleCredentials(ROLE),
};
const { privateKey, publicKey } = keyPair();

let sns: SnsListener;
let metadata: MetadataService;

beforeEach(async () => {
  sns = await startSnsListener();
  metadata = await startMetadata(TREE);
});

afterEach(async () => {
  await sns.stop();
  await metadata.stop();
});

function hostOf(settings: Record<string, string> = {}, env: HostOptions['env'] = {}): Host {
  return makeHost({
    key: privateKey,
    node: 'web-1',
    settings: { TOPIC_ARN: TOPIC, SNS_ENDPOINT: sns.url, METADATA_ENDPOINT: metadata.url, ...settings },
    env,
  });
}

interface Message extends Record<string, unknown> {
  method: string;
  chef_name: string;
}

function published(): Message[] {
  return sns.requests.map(({ body }) => {
    const form = new URLSearchParams(body);
    expect(form.get('Action')).toBe('Publish');
    expect(form.get('TopicArn')).toBe(TOPIC);
    return JSON.parse(form.get('Message') ?? '');
  });
}

describe('at stop', () => {
  test('a machine that powers off publishes its signed deletion, with the id and credentials of its instance', async () => {
    const host = hostOf();
    host.systemdJobs(
      'systemd-poweroff.service start',
      'poweroff.target start',
      'chef-registration.service stop',
    );
    expect(await host.run(['stop'])).toMatchObject({ code: 0 });

    const [message] = published();
    expect(message).toMatchObject({
      type: 'registration',
      method: 'delete',
      chef_name: 'web-1',
      nagios_name: 'web-1',
      instance_id: INSTANCE,
    });
    const signature = readHostSignature(message ?? {});
    if (!signature || 'fault' in signature) throw new Error(JSON.stringify(signature));
    expect(signature.audience).toBe('chef-client-deregistration-queue-test');
    const value = Buffer.from(signature.value, 'base64');
    expect(verify('sha256', Buffer.from(signature.text), createPublicKey(publicKey), value)).toBe(true);
  });

  test.each([
    ['a halt', ['halt.target start'], 1],
    ['a reboot', ['systemd-reboot.service start', 'reboot.target start'], 0],
    ['a kexec', ['kexec.target start'], 0],
    ['a soft reboot', ['soft-reboot.target start'], 0],
    ['a reboot that overtakes a power-off', ['poweroff.target start', 'reboot.target start'], 0],
    ['a restart of the unit', ['chef-registration.service restart'], 0],
    ['a stop of the unit', [], 0],
    ['a power-off that is called off', ['poweroff.target stop'], 0],
  ])('%s (%j) publishes %i messages', async (_, jobs, messages) => {
    const host = hostOf();
    host.systemdJobs(...jobs);
    expect(await host.run(['stop'])).toMatchObject({ code: 0 });
    expect(published()).toHaveLength(messages);
    if (messages === 0) expect(metadata.asked).toEqual([]);
  });

  test.each([
    ['2 0', 1],
    ['2 6', 0],
    ['N 2', 0],
    ['unknown', 0],
  ])('without systemd runlevel %j publishes %i messages', async (levels, messages) => {
    const host = hostOf();
    host.runlevel(levels);
    expect(await host.run(['stop'])).toMatchObject({ code: 0 });
    expect(published()).toHaveLength(messages);
  });

  test.each([
    ['into a warm pool', 'autoscaling/target-lifecycle-state', 'Warmed:Stopped', 0],
    ['to its end', 'autoscaling/target-lifecycle-state', 'Terminated', 1],
    ['to its end in a warm pool', 'autoscaling/target-lifecycle-state', 'Warmed:Terminated', 1],
    ['for a Spot stop', 'spot/instance-action', '{"action": "stop", "time": "2026-03-02T10:00:00Z"}', 0],
    ['for a Spot end', 'spot/instance-action', '{"action": "terminate", "time": "2026-03-02T10:00:00Z"}', 1],
  ])('an instance that goes %s (%s is %s) publishes %i messages', async (_, path, value, messages) => {
    await metadata.stop();
    metadata = await startMetadata({ ...TREE, [path]: value });
    const host = hostOf();
    host.systemdJobs('poweroff.target start');
    expect(await host.run(['stop'])).toMatchObject({ code: 0 });
    expect(published()).toHaveLength(messages);
  });

  test('an SNS that never answers ends at the limit, is logged and lets the machine go on', async () => {
    await sns.stop();
    sns = await startSnsListener(0);
    const host = hostOf({ TIME_LIMIT_SECONDS: '1' });
    host.systemdJobs('poweroff.target start');
    expect(await host.run(['stop'])).toMatchObject({ code: 0 });
    expect(readFileSync(`${host.directory}/log`, 'utf8')).toContain('gave up after 1 s');
  });

  test.each([
    ['no SNS', { SNS_ENDPOINT: 'http://127.0.0.1:1' }, 'SNS did not take delete of web-1'],
    ['no key', { CLIENT_KEY: '/nowhere.pem' }, 'cannot sign with /nowhere.pem'],
    ['no topic', { TOPIC_ARN: '' }, 'TOPIC_ARN in '],
    ['a subscription for a topic', { TOPIC_ARN: `${TOPIC}:0b1c2d3e` }, 'TOPIC_ARN in '],
  ])('%s is logged in one line and lets the machine go on', async (_, settings, said) => {
    const host = hostOf(settings);
    host.systemdJobs('poweroff.target start');
    expect(await host.run(['stop'])).toMatchObject({ code: 0, stderr: expect.stringContaining(said) });
    const log = readFileSync(`${host.directory}/log`, 'utf8');
    expect(log).toContain(said);
    expect(log.trim().split('\n')).toHaveLength(1);
  });
});

describe('at start', () => {
  test('nothing is published', async () => {
    expect(await hostOf().run(['start'])).toMatchObject({ code: 0, stderr: '' });
    expect(published()).toEqual([]);
  });

  test('ENSURE_ON_START=yes publishes ensure', async () => {
    await hostOf({ ENSURE_ON_START: 'yes' }).run(['start']);
    expect(published()).toMatchObject([{ method: 'ensure', chef_name: 'web-1', instance_id: INSTANCE }]);
  });
});

describe('the request', () => {
  test('has the signature that AWS’s own code computes, with a session token and without', async () => {
    const host = hostOf();
    await host.run(['--method', 'delete']);
    await host.run(['--method', 'delete'], {
      AWS_ACCESS_KEY_ID: 'AKIAENV',
      AWS_SECRET_ACCESS_KEY: 'en/v+secret',
    });
    const [byRole, byEnvironment] = sns.requests;
    if (!byRole || !byEnvironment) throw new Error('two requests were expected');
    const { id, secret, token } = ROLE;
    expect(byRole.headers['x-amz-security-token']).toBe(token);
    expect(byRole.headers.authorization).toContain('x-amz-security-token');
    const role = { accessKeyId: id, secretAccessKey: secret, sessionToken: token };
    expect(await awsAuthorization(byRole, role)).toBe(byRole.headers.authorization);
    const environment = { accessKeyId: 'AKIAENV', secretAccessKey: 'en/v+secret' };
    expect(await awsAuthorization(byEnvironment, environment)).toBe(byEnvironment.headers.authorization);
  });

  test('is signed with the profile of the shared file where the environment has no key', async () => {
    const host = hostOf({}, { AWS_PROFILE: 'terminations' });
    mkdirSync(`${host.directory}/.aws`);
    writeFileSync(
      `${host.directory}/.aws/credentials`,
      '[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = x\n\n[terminations]\naws_access_key_id = AKIADEATHS\naws_secret_access_key=y/z\n[last]\naws_access_key_id = AKIALAST\n',
    );
    await host.run(['--method', 'delete']);
    expect(sns.requests[0]?.headers.authorization).toContain('Credential=AKIADEATHS/');
    expect(metadata.asked.join()).not.toContain('security-credentials/web-role');
  });

  test('shows no secret to who lists the processes', async () => {
    const host = hostOf();
    host.standIn('curl', `echo "$*" >> ${host.directory}/arguments; exec /usr/bin/curl "$@"`);
    await host.run(['--method', 'delete']);
    expect(published()).toHaveLength(1);
    const seen = readFileSync(`${host.directory}/arguments`, 'utf8');
    expect(seen).toContain('Action=Publish');
    for (const secret of [ROLE.secret, ROLE.token, 'AQAEAO']) expect(seen).not.toContain(secret);
  });

  test('that SNS refuses is reported with its words, and fails where a person asked', async () => {
    await sns.stop();
    const reply = '<ErrorResponse><Error><Code>AuthorizationError</Code></Error></ErrorResponse>';
    sns = await startSnsListener(403, reply);
    expect(await hostOf().run(['--method', 'delete'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/SNS did not take delete of web-1 .*AuthorizationError.* 403/),
    });
  });
});

describe('the instance metadata service', () => {
  test('is asked with a token only, as version 2 wants it', async () => {
    await hostOf().run(['--method', 'delete']);
    expect(metadata.asked[0]).toBe('PUT /latest/api/token 200');
    expect(metadata.asked.filter(line => !line.endsWith(' 200'))).toEqual([]);
  });

  test('is asked once where there is none, and the message goes without an instance id', async () => {
    const host = hostOf(
      { METADATA_ENDPOINT: `http://127.0.0.1:${await freePort()}` },
      { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'secret' },
    );
    host.standIn('curl', `echo "$*" >> ${host.directory}/arguments; exec /usr/bin/curl "$@"`);
    host.systemdJobs('poweroff.target start');
    await host.run(['stop']);
    expect(published()).toHaveLength(1);
    expect(published()[0]).not.toHaveProperty('instance_id');
    expect(readFileSync(`${host.directory}/arguments`, 'utf8').match(/latest\//g)).toHaveLength(1);
  });
});

describe('the options of the predecessor', () => {
  test('name node, Nagios host, instance and method, in both ways of writing', async () => {
    const host = hostOf();
    const about = ['--chef-node', 'db-1', '--nagios-node=db-1.example.com', '--instance-id=i-0123abcd'];
    expect(await host.run([...about, '--method', 'deregister', '-v'])).toMatchObject({ code: 0 });
    expect(published()).toMatchObject([
      { method: 'delete', chef_name: 'db-1', nagios_name: 'db-1.example.com', instance_id: 'i-0123abcd' },
    ]);
  });

  test('a Nagios host may have a name that Chef would not allow', async () => {
    const host = hostOf({ NAGIOS_NODE: '"Web Server 1 [Zürich]"', INSTANCE_ID: INSTANCE });
    expect(await host.run(['--method', 'delete'])).toMatchObject({ code: 0 });
    const [message] = published();
    expect(message).toMatchObject({ chef_name: 'web-1', nagios_name: 'Web Server 1 [Zürich]' });
    const signature = readHostSignature(message ?? {});
    if (!signature || 'fault' in signature) throw new Error(JSON.stringify(signature));
    const value = Buffer.from(signature.value, 'base64');
    expect(verify('sha256', Buffer.from(signature.text), createPublicKey(publicKey), value)).toBe(true);
  });

  test.each(['--dry-run', '-d'])('%s prints the message and publishes nothing', async option => {
    const { code, stdout } = await hostOf().run([option, '--method=ensure']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ method: 'ensure', chef_name: 'web-1' });
    expect(sns.requests).toEqual([]);
  });

  test.each([[['--what']], [['--method', 'destroy']], [['--method=']], [['--method']]])(
    '%j is refused',
    async options => {
      expect(await hostOf().run(options)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('usage:'),
      });
      expect(sns.requests).toEqual([]);
    },
  );
});

describe('nothing is published unless that is asked for:', () => {
  test.each([[[]], [['-v']], [['--chef-node', 'db-1', '--instance-id=i-0123abcd']]])(
    '%j shows the help, which says how, and fails',
    async options => {
      const host = hostOf();
      host.systemdJobs('poweroff.target start');
      const { code, stdout, stderr } = await host.run(options);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^usage: .*\n.* --method delete\|deregister\|ensure /);
      expect(sns.requests).toEqual([]);
      expect(metadata.asked).toEqual([]);
    },
  );

  test.each(['--help', '-h'])('%s shows the help', async option => {
    const asked = await hostOf().run(['stop', option]);
    expect(asked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^usage: /), stderr: '' });
    expect(sns.requests).toEqual([]);
  });

  test('--dry-run alone shows the deletion', async () => {
    expect(JSON.parse((await hostOf().run(['--dry-run'])).stdout)).toMatchObject({ method: 'delete' });
    expect(sns.requests).toEqual([]);
  });
});

describe('what it is given', () => {
  test('is read and never run', async () => {
    const host = hostOf({ CHEF_NODE: '$(touch made)', NAGIOS_NODE: '`touch made`' });
    const { code, stderr } = await host.run(['--method', 'delete']);
    expect(code).toBe(1);
    expect(stderr).toContain("the Chef node is '$(touch made)'");
    expect(existsSync('made')).toBe(false);
    expect(sns.requests).toEqual([]);
  });

  test('becomes the name in the message, or is refused', async () => {
    const host = hostOf({ INSTANCE_ID: INSTANCE });
    const name = fc.oneof(
      fc.string({ minLength: 1, maxLength: 12 }).filter(text => !text.includes('\0')),
      fc.stringMatching(/^[\w.:-]{1,12}$/),
      fc.constantFrom('..', 'a","method":"ensure', 'a\nmethod:ensure', 'a\\', 'ü', "a'b"),
    );
    await fc.assert(
      fc.asyncProperty(name, async given => {
        const { code, stdout } = await host.run([`--chef-node=${given}`, '--dry-run']);
        expect(code).toBe(isNodeName(given) ? 0 : 1);
        if (code === 0) expect(JSON.parse(stdout)).toMatchObject({ chef_name: given, instance_id: INSTANCE });
      }),
      { numRuns: 40 },
    );
  });

  test('becomes the name of the Nagios host in the message if Nagios allows it, or is refused', async () => {
    const host = hostOf({ INSTANCE_ID: INSTANCE });
    const illegal = fc.constantFrom(...'`~!$%^&*"|\'<>?,()=;\\\n\t\u0001');
    const name = fc.oneof(
      fc.stringMatching(/^[\w.:#@/ [\]{}+-]{1,12}$/),
      fc
        .tuple(fc.stringMatching(/^\w{0,4}$/), illegal, fc.stringMatching(/^\w{1,4}$/))
        .map(parts => parts.join('')),
      fc.constantFrom(' a', 'a ', 'Web Server 1', 'ü', 'a","method":"ensure', "a'b", 'a\\', ']', '[x]'),
    );
    await fc.assert(
      fc.asyncProperty(name, async given => {
        const { code, stdout } = await host.run([`--nagios-node=${given}`, '--dry-run']);
        expect(code).toBe(isNagiosHostName(given) && !given.includes('\\') ? 0 : 1);
        if (code === 0) expect(JSON.parse(stdout)).toMatchObject({ nagios_name: given, chef_name: 'web-1' });
      }),
      { numRuns: 40 },
    );
  });
});
