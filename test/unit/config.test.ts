import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settingsTable, withTable } from '../../scripts/settings-table.ts';
import { isSecret, readSettings, schema } from '../../src/config.ts';
import { SettingsError } from '../../src/domain/errors.ts';
import { freshDirectory } from '../support/process.ts';

const PEM = '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----';

function faults(env: Record<string, string>): string[] {
  try {
    readSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.faults;
    throw error;
  }
  return [];
}

const file = (text: string) => {
  const path = join(freshDirectory('secret'), 'secret');
  writeFileSync(path, text);
  return path;
};

test('what is not set has the defaults that the contract gives', () => {
  const settings = readSettings({});
  expect(settings).toMatchObject({
    HOST: '127.0.0.1',
    PORT: 3000,
    ROLES: new Set(['api', 'poller', 'worker', 'trigger']),
    API_TOKENS: new Map(),
    REDIS_URL: { kind: 'single', tls: false, address: { host: '127.0.0.1', port: 6379 }, db: 0 },
    REDIS_PREFIX: '{chef-deregistration}',
    QUEUE_NAME: 'chef-client-deregistration-queue',
    PROVISION: true,
    SQS_QUEUE_URLS: [],
    SNS_TOPIC_ARNS: [],
    HOST_QUEUE_URLS: [],
    HOST_TOPIC_ARNS: [],
    SNS_CERT_HOSTS: [],
    CHEF_PROFILE: 'default',
    CHEF_SIGNING: '1.3',
    CHEF_INSTANCE_ATTRIBUTE: 'ec2.instance_id',
    PROTECTED_NODES: [],
    NAGIOS_DOWNTIME_MINUTES: 120,
    NAGIOS_DATE_FORMAT: 'us',
    NAGIOS_REQUIRED: false,
    ARCHIVE_URL: 'file://./archive',
    CHEF_CLIENT_COMMAND: ['/usr/bin/chef-client'],
    TRIGGER_SETTLE_SECONDS: 5,
    TRIGGER_TIMEOUT_SECONDS: 1800,
    MAX_DELETES: 50,
    MAX_DELETES_WINDOW_MINUTES: 10,
    NODE_SIGNATURES: 'required',
    DRY_RUN: false,
    LOG_LEVEL: 'info',
  });
  const without = [
    'TLS_CERT_FILE',
    'TLS_KEY_FILE',
    'PUBLIC_URL',
    'AWS_REGION',
    'AWS_ENDPOINT_URL',
    'QUEUE_ID',
  ];
  without.push('CHEF_SERVER_URL', 'CHEF_CLIENT_NAME', 'CHEF_CLIENT_KEY', 'NAGIOS_URL', 'NAGIOS_USERNAME');
  without.push('NAGIOS_PASSWORD', 'NAGIOS_TIMEZONE', 'ALERT_TOPIC_ARN', 'ALERT_WEBHOOK_URL');
  for (const name of without) expect(settings, name).not.toHaveProperty(name);
});

test('an empty variable counts as unset', () => {
  const empty = Object.keys(schema.shape).flatMap(name => [
    [name, ''],
    [`${name}_FILE`, ''],
  ]);
  expect(readSettings(Object.fromEntries(empty))).toEqual(readSettings({}));
});

test('every fault is reported at once, by name', () => {
  const told = faults({
    PORT: '70000',
    PUBLIC_URL: 'ftp://x',
    ROLES: 'api,cook',
    API_TOKENS: 'ops',
    REDIS_PREFIX: 'no-tag',
    QUEUE_ID: 'much-too-long',
    PROVISION: 'yes',
    SQS_QUEUE_URLS: 'https://sqs/1,nonsense',
    SNS_TOPIC_ARNS: 'topic',
    HOST_QUEUE_URLS: 'nonsense',
    HOST_TOPIC_ARNS: 'topic',
    SNS_CERT_HOSTS: 'https://x',
    NAGIOS_TIMEZONE: 'Mars/Olympus',
    NAGIOS_DATE_FORMAT: 'iso',
    ARCHIVE_URL: '/var/archive',
    MAX_DELETES: '0',
    TRIGGER_SETTLE_SECONDS: '-1',
    CHEF_INSTANCE_ATTRIBUTE: 'a b',
    TLS_CERT_FILE: 'cert.pem',
  }).map(fault => fault.slice(0, fault.indexOf(':')));
  expect(told.sort()).toEqual(
    [
      ...['PORT', 'PUBLIC_URL', 'ROLES', 'API_TOKENS', 'REDIS_PREFIX', 'QUEUE_ID', 'PROVISION'],
      ...[
        'SQS_QUEUE_URLS',
        'SNS_TOPIC_ARNS',
        'HOST_QUEUE_URLS',
        'HOST_TOPIC_ARNS',
        'SNS_CERT_HOSTS',
        'NAGIOS_TIMEZONE',
        'NAGIOS_DATE_FORMAT',
      ],
      ...['ARCHIVE_URL', 'MAX_DELETES', 'TRIGGER_SETTLE_SECONDS', 'CHEF_INSTANCE_ATTRIBUTE', 'TLS_KEY_FILE'],
    ].sort(),
  );
});

test('names that are too long for SQS with their suffixes are a fault that shows the sum', () => {
  const longest = 'q'.repeat(80 - '-prod-aws-dead-letter'.length);
  expect(readSettings({ QUEUE_NAME: longest, QUEUE_ID: 'prod' }).QUEUE_NAME).toBe(longest);
  expect(faults({ QUEUE_NAME: `${longest}q`, QUEUE_ID: 'prod' })).toEqual([
    'QUEUE_NAME: the longest queue name, <QUEUE_NAME>-<QUEUE_ID>-aws-dead-letter, has 60 + 1 + 4 + 16 = 81 characters, and SQS allows 80: shorten QUEUE_NAME by 1',
  ]);
  // Nothing is provisioned without QUEUE_ID.
  expect(readSettings({ QUEUE_NAME: 'q'.repeat(90) }).QUEUE_NAME).toHaveLength(90);
  expect(faults({ QUEUE_NAME: 'q'.repeat(90), QUEUE_ID: 'prod', PORT: 'x' })).toHaveLength(2);
});

test('whatever names the settings accept, SQS accepts them all', () => {
  const name = fc.stringMatching(/^[\w-]{1,70}$/);
  const id = fc.stringMatching(/^[\w-]{1,8}$/);
  fc.assert(
    fc.property(name, id, (QUEUE_NAME, QUEUE_ID) => {
      const refused = faults({ QUEUE_NAME, QUEUE_ID }).length > 0;
      expect(refused).toBe(`${QUEUE_NAME}-${QUEUE_ID}-aws-dead-letter`.length > 80);
    }),
  );
});

test('patterns that cannot be read are faults', () => {
  expect(readSettings({}).LIFECYCLE_HOOKS).toEqual(['*']);
  expect(readSettings({ LIFECYCLE_HOOKS: 'chef-*, web-asg/[dr]*' }).LIFECYCLE_HOOKS).toEqual([
    'chef-*',
    'web-asg/[dr]*',
  ]);
  expect(faults({ LIFECYCLE_HOOKS: 'chef-[a', PROTECTED_NODES: 'db-[1' })).toEqual([
    'LIFECYCLE_HOOKS: has a [ without its ]',
    'PROTECTED_NODES: has a [ without its ]',
  ]);
});

describe('a secret', () => {
  test('may be in a file, whose last line break does not count', () => {
    const { API_TOKENS, CHEF_CLIENT_KEY } = readSettings({
      API_TOKENS_FILE: file('ops:0123456789012345678901\n'),
      CHEF_SERVER_URL: 'https://chef.example.com/organizations/prod',
      CHEF_CLIENT_NAME: 'janitor',
      CHEF_CLIENT_KEY_FILE: file(`${PEM}\n`),
    });
    expect(API_TOKENS).toEqual(new Map([['ops', '0123456789012345678901']]));
    expect(CHEF_CLIENT_KEY).toBe(PEM);
  });

  test('given both ways is a fault', () => {
    expect(faults({ REDIS_URL: 'redis://a', REDIS_URL_FILE: file('redis://b') })).toEqual([
      'REDIS_URL: is set, and REDIS_URL_FILE too; unset one',
    ]);
  });

  test('whose file is missing or empty is one fault, and no half pair besides', () => {
    const nagios = { NAGIOS_USERNAME: 'ops' };
    expect(faults({ ...nagios, NAGIOS_PASSWORD_FILE: '/nowhere' })).toEqual([
      'NAGIOS_PASSWORD_FILE: the file it names cannot be read (ENOENT)',
    ]);
    expect(faults({ ...nagios, NAGIOS_PASSWORD_FILE: file('\n') })).toEqual([
      'NAGIOS_PASSWORD_FILE: the file it names is empty',
    ]);
  });

  test('may be in a file, and nothing else may', () => {
    const { HOST } = readSettings({ HOST_FILE: file('0.0.0.0') });
    expect(HOST).toBe('127.0.0.1');
  });

  test('is never in what is announced a fault', () => {
    const names = Object.entries(schema.shape).flatMap(([name, field]) =>
      isSecret(field) ? [name, `${name}_FILE`] : [],
    );
    const secret = 'Tr0ub4dor&3';
    const forms = fc.constantFrom(
      secret,
      `redis//:${secret}@host`,
      `http:${secret}`,
      `name:${secret}`,
      `name,name:${secret}`,
      `-----BEGIN EC PRIVATE KEY-----\n${secret}`,
    );
    fc.assert(
      fc.property(fc.constantFrom(...names), forms, (name, value) => {
        expect(faults({ [name]: value }).join()).not.toContain(secret);
      }),
    );
  });
});

test('tokens are names with secrets of at least 20 characters, each name once', () => {
  const long = 'x'.repeat(20);
  expect(readSettings({ API_TOKENS: ` a:${long} , b.c@d-e:y:${long},` }).API_TOKENS).toEqual(
    new Map([
      ['a', long],
      ['b.c@d-e', `y:${long}`],
    ]),
  );
  expect(faults({ API_TOKENS: `a:${'x'.repeat(19)}` })).toEqual([
    'API_TOKENS: token of a is shorter than 20 characters',
  ]);
  expect(faults({ API_TOKENS: `a:${long},a:${long}y` })).toEqual(['API_TOKENS: two tokens are named a']);
  expect(faults({ API_TOKENS: `a:,${long}` })).toEqual([
    'API_TOKENS: must be name:token, name:token',
    'API_TOKENS: must be name:token, name:token',
  ]);
});

test.each([
  [['TLS_KEY_FILE'], { TLS_CERT_FILE: 'c' }],
  [['TLS_CERT_FILE'], { TLS_KEY_FILE: 'k' }],
  [['NAGIOS_PASSWORD'], { NAGIOS_USERNAME: 'u' }],
  [['NAGIOS_USERNAME'], { NAGIOS_PASSWORD: 'p' }],
  [['CHEF_CLIENT_NAME', 'CHEF_CLIENT_KEY'], { CHEF_SERVER_URL: 'https://chef' }],
  [['CHEF_CLIENT_KEY'], { CHEF_SERVER_URL: 'https://chef', CHEF_CLIENT_NAME: 'n' }],
  [['CHEF_SERVER_URL'], { CHEF_CLIENT_NAME: 'n', CHEF_CLIENT_KEY: PEM }],
] as [string[], Record<string, string>][])(
  '%s may not be missing where its fellows are set',
  (names, env) => {
    expect(faults(env)).toEqual(names.map(name => expect.stringMatching(`^${name}: missing, while `)));
  },
);

test('Redis may be given with TLS, password and database', () => {
  expect(readSettings({ REDIS_URL: 'rediss://:p%40ss@h/1' }).REDIS_URL).toMatchObject({
    kind: 'single',
    tls: true,
    password: 'p@ss',
    db: 1,
  });
  for (const url of ['http://h', 'localhost:6379', 'unix:/run/redis.sock']) {
    expect(faults({ REDIS_URL: url })).toEqual([expect.stringMatching(/^REDIS_URL: must be redis:\/\/HOST/)]);
  }
});

test('docs/configuration.md has the table of the settings as they are; else run: node scripts/settings-table.ts --write', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  expect(withTable(page)).toBe(page);
});

test('the table tells of each setting its default, its meaning and whether it may be in a file', () => {
  const table = settingsTable().split('\n');
  expect(table).toHaveLength(2 + Object.keys(schema.shape).length);
  expect(table).toContain('| `PORT` | `3000` | port of the API; 0 picks a free one and logs it |');
  expect(table).toContain(
    '| `ROLES` | `api,poller,worker,trigger` | which parts this process runs; `trigger` runs chef-client; many processes share one Redis |',
  );
  expect(table).toContain(
    '| `CHEF_CLIENT_KEY` or `CHEF_CLIENT_KEY_FILE` | – | its private key (PEM); line breaks may be `\\n` in two characters, or blanks |',
  );
  for (const row of table.slice(2))
    expect(row).toMatch(/^\| `\w+`( or `\w+_FILE`)? \| (–|`[^`]+`) \| .{4,} \|$/);
});
