import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseRedisUrl } from './clients/redis/url.ts';
import { describe, SettingsError } from './domain/errors.ts';
import { isGlob } from './domain/glob.ts';
import { lengthFault } from './domain/pair-names.ts';
import { normalizePem } from './lib/pem.ts';

const list = z
  .string()
  .transform(text =>
    text
      .split(',')
      .map(item => item.trim())
      .filter(Boolean),
  )
  .prefault('');
const flag = z.enum(['true', 'false']).transform(text => text === 'true');
const whole = (min: number, max: number) =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.number().min(min).max(max));
const url = (...protocols: string[]) =>
  z.string().transform((text, context) => {
    const parsed = URL.canParse(text) ? new URL(text) : undefined;
    if (parsed && protocols.includes(parsed.protocol)) return parsed;
    context.addIssue(`must be a URL that starts with ${protocols.map(p => `${p}//`).join(' or ')}`);
    return z.NEVER;
  });
const redisUrl = z.string().transform((text, context) => {
  try {
    return parseRedisUrl(text);
  } catch (error) {
    context.addIssue(describe(error));
    return z.NEVER;
  }
});
const timeZone = z.string().refine(zone => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    return false;
  }
}, 'must be an IANA time zone such as Europe/Berlin');

const ROLES = ['api', 'poller', 'worker', 'trigger'] as const;
export type Role = (typeof ROLES)[number];

const tokens = list.transform((items, context) => {
  const byName = new Map<string, string>();
  for (const item of items) {
    const [, name, token] = /^([\w.@-]+):(.+)$/.exec(item) ?? [];
    if (!name || !token) context.addIssue('must be name:token, name:token');
    else if (token.length < 20) context.addIssue(`token of ${name} is shorter than 20 characters`);
    else if (byName.has(name)) context.addIssue(`two tokens are named ${name}`);
    else byName.set(name, token);
  }
  return byName;
});

const DEFAULT_QUEUE_NAME = 'chef-client-deregistration-queue';
const arn = z.string().regex(/^arn:[\w-]+:sns:[\w-]+:\d{12}:[\w.-]+$/, 'must be the ARN of an SNS topic');
const patterns = list.pipe(
  z.array(
    z
      .string()
      .regex(/^[\w.:*?[\]-]+$/, 'must be glob patterns of node names')
      .refine(isGlob, 'has a [ without its ]'),
  ),
);

/**
 * Every setting, with its default and meaning; the table in docs/configuration.md is made from it.
 * A setting with `secret` may be given as NAME_FILE, a path to its value.
 */
export const schema = z.object({
  HOST: z.string().default('127.0.0.1').describe('address on which the API listens'),
  PORT: whole(0, 65_535).prefault('3000').describe('port of the API; 0 picks a free one and logs it'),
  TLS_CERT_FILE: z.string().optional().describe('certificate chain (PEM): serve HTTPS itself'),
  TLS_KEY_FILE: z.string().optional().describe('its private key (PEM)'),
  PUBLIC_URL: url('https:', 'http:')
    .optional()
    .meta({ secret: true })
    .describe(
      'how SNS reaches the service, with `user:password@` if a proxy asks for them; provisioning subscribes `<PUBLIC_URL>/sns`',
    ),
  ROLES: list
    .prefault('api,poller,worker,trigger')
    .pipe(z.array(z.enum(ROLES)).min(1))
    .transform(roles => new Set<Role>(roles))
    .describe('which parts this process runs; `trigger` runs chef-client; many processes share one Redis'),
  API_TOKENS: tokens
    .meta({ secret: true })
    .describe('`name:token,…`: who may call the guarded routes; with none they answer 401'),
  REDIS_URL: redisUrl
    .prefault('redis://127.0.0.1:6379')
    .meta({ secret: true })
    .describe(
      '`redis://[user:password@]host:port/db`, `redis+sentinel://[user:password@]host:port,…/MASTER/db` or `redis+cluster://[user:password@]host:port,…`, percent-encoded; with `rediss` TLS, whose authority NODE_EXTRA_CA_CERTS may name; `valkey` and `valkeys` mean the same; `?sentinel-password=…` is the Sentinels’ own',
    ),
  REDIS_PREFIX: z
    .string()
    .regex(/^[^{}]*\{[^{}]+\}[^{}]*$/, 'must hold one {hash tag}, so that all keys share a slot')
    .default('{chef-deregistration}')
    .describe('prefix of all keys (one hash slot)'),
  AWS_REGION: z
    .string()
    .optional()
    .describe('as in every AWS SDK program, like AWS_ENDPOINT_URL and the credentials'),
  AWS_ENDPOINT_URL: url('https:', 'http:').optional().describe('endpoint in place of AWS’s own'),
  QUEUE_NAME: z
    .string()
    .regex(/^[\w-]+$/, 'must be letters, digits, - or _')
    .default(DEFAULT_QUEUE_NAME)
    .describe(
      'two pairs of topic and queue are provisioned: `<QUEUE_NAME>-<QUEUE_ID>`, to which hosts publish, and `<QUEUE_NAME>-<QUEUE_ID>-aws`, to which only AWS services write',
    ),
  QUEUE_ID: z
    .string()
    .regex(/^[\w-]{1,8}$/, 'must be 1 to 8 letters, digits, - or _')
    .optional()
    .describe('which installation this is; without it nothing is provisioned'),
  PROVISION: flag
    .prefault('true')
    .describe('create the topics, queues, dead-letter queues, policies and subscriptions that do not exist'),
  SQS_QUEUE_URLS: list
    .pipe(z.array(url('https:', 'http:')))
    .describe('further queues, to which only AWS services write'),
  SNS_TOPIC_ARNS: list.pipe(z.array(arn)).describe('further topics, to which only AWS services write'),
  HOST_QUEUE_URLS: list
    .pipe(z.array(url('https:', 'http:')))
    .describe('further queues, to which hosts may write; a queue listed as both counts as the hosts’'),
  HOST_TOPIC_ARNS: list
    .pipe(z.array(arn))
    .describe('further topics, to which hosts may write; a topic listed as both counts as the hosts’'),
  SNS_CERT_HOSTS: list
    .pipe(z.array(z.string().regex(/^[a-z0-9.-]+(:\d{1,5})?$/, 'must be host or host:port')))
    .describe('further exact `host[:port]` that may serve SNS signing certificates'),
  LIFECYCLE_RESULT: z
    .enum(['CONTINUE', 'ABANDON'])
    .default('CONTINUE')
    .describe(
      'how a lifecycle action is completed; ABANDON skips the group’s other hooks, and with an instance lifecycle policy that retains instances it leaves the instance running',
    ),
  LIFECYCLE_HOOKS: list
    .prefault('*')
    .pipe(z.array(z.string().refine(isGlob, 'has a [ without its ]')))
    .describe('globs of HOOK or GROUP/HOOK: the lifecycle hooks that this service completes'),
  CHEF_SERVER_URL: url('https:', 'http:')
    .optional()
    .describe('Chef server, with `/organizations/ORG` where it has organisations'),
  CHEF_CLIENT_NAME: z.string().optional().describe('Chef client that this service is'),
  CHEF_CLIENT_KEY: z
    .string()
    .transform(normalizePem)
    .pipe(
      z
        .string()
        .regex(
          /^-----BEGIN ((?:RSA )?PRIVATE KEY)-----\n[\w+/=\n]+\n-----END \1-----$/,
          'must be a whole RSA private key (PEM), without a passphrase',
        ),
    )
    .optional()
    .meta({ secret: true })
    .describe('its private key (PEM); line breaks may be `\\n` in two characters, or blanks'),
  CHEF_PROFILE: z
    .string()
    .default('default')
    .describe('where the three are unset: this profile of `~/.chef/credentials`'),
  CHEF_CA_FILE: z
    .string()
    .optional()
    .describe(
      'further certificates (PEM) trusted for the Chef server: its own, if it is self-signed, or its authority’s; `~/.chef/trusted_certs` counts too if the profile is used',
    ),
  CHEF_SIGNING: z
    .enum(['1.3', '1.1'])
    .default('1.3')
    .describe('version of Chef’s request signature; 1.1 for servers before Chef Server 12.4'),
  CHEF_INSTANCE_ATTRIBUTE: z
    .string()
    .regex(/^[\w-]+(\.[\w-]+)*$/, 'must be a dotted attribute path')
    .default('ec2.instance_id')
    .describe('node attribute that holds the EC2 instance id'),
  VERIFY_EC2: flag
    .prefault('false')
    .describe(
      'ask EC2, and Auto Scaling about lifecycle actions, before each deletion: if the instance lives, or may live, the job is held',
    ),
  PROTECTED_NODES: patterns.describe('glob patterns of node names never deleted'),
  NAGIOS_URL: url('https:', 'http:')
    .optional()
    .describe('base URL of the CGIs; without it the downtime step is skipped and says so'),
  NAGIOS_USERNAME: z.string().optional().describe('for basic or digest authentication'),
  NAGIOS_PASSWORD: z
    .string()
    .optional()
    .meta({ secret: true })
    .describe('for basic or digest authentication'),
  NAGIOS_DOWNTIME_MINUTES: whole(1, 525_600).prefault('120').describe('length of a downtime'),
  NAGIOS_DATE_FORMAT: z
    .enum(['us', 'euro', 'iso8601', 'strict-iso8601'])
    .default('us')
    .describe('nagios.cfg’s `date_format`'),
  NAGIOS_TIMEZONE: timeZone.optional().describe('the Nagios server’s zone; the host’s own where unset'),
  NAGIOS_REQUIRED: flag
    .prefault('false')
    .describe(
      '`true`: no deletion before Nagios shows the downtime; `false`: retried, then noted and passed',
    ),
  ARCHIVE_URL: z
    .string()
    .regex(
      /^(file:\/\/.+|s3:\/\/[a-z0-9.-]{3,63}(\/[^?#]*)?(\?encryption=bucket)?)$/,
      'must be file://DIR or s3://BUCKET/PREFIX',
    )
    .default('file://./archive')
    .describe(
      'where nodes are saved before a deletion: `file://DIR` or `s3://BUCKET/PREFIX`; S3 encrypts with AES256, or with `?encryption=bucket` as the bucket’s default says (KMS)',
    ),
  ARCHIVE_DAYS: whole(0, 36_500)
    .prefault('0')
    .describe('age at which what was saved is removed; 0 keeps it forever'),
  JOB_DAYS: whole(1, 36_500)
    .prefault('90')
    .describe(
      'age at which the record of a finished job leaves Redis; that its instance ended is remembered for 400 days more',
    ),
  ALERT_TOPIC_ARN: arn.optional().describe('SNS topic for alerts, besides the log'),
  ALERT_WEBHOOK_URL: url('https:', 'http:')
    .optional()
    .meta({ secret: true })
    .describe('webhook for alerts, besides the log'),
  CHEF_CLIENT_COMMAND: z
    .string()
    .transform(command => command.trim().split(/\s+/))
    .prefault('/usr/bin/chef-client')
    .describe('program and arguments run once the queue empties; no shell'),
  TRIGGER_SETTLE_SECONDS: whole(0, 3_600)
    .prefault('5')
    .describe('quiet time before the run, for Chef’s search index'),
  TRIGGER_TIMEOUT_SECONDS: whole(1, 86_400).prefault('1800').describe('limit of a run'),
  MAX_DELETES: whole(1, 1_000_000)
    .prefault('50')
    .describe('above it in the window, deletions are held for a person'),
  MAX_DELETES_WINDOW_MINUTES: whole(1, 10_080).prefault('10').describe('the window'),
  NODE_SIGNATURES: z
    .enum(['required', 'optional'])
    .default('required')
    .describe('must a host’s own message be signed by its Chef client key'),
  DRY_RUN: flag
    .prefault('false')
    .describe('everything but the changes; the job tells what it would have done'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('JSON lines on stdout'),
  OTEL_EXPORTER_OTLP_ENDPOINT: url('https:', 'http:')
    .optional()
    .describe('OpenTelemetry collector for traces (OTLP over HTTP); none are kept where unset'),
});

export type Settings = z.output<typeof schema>;

/**
 * The settings from environment variables; an empty variable counts as unset.
 * @throws SettingsError with all faults at once
 */
export function readSettings(env: Record<string, string | undefined>): Settings {
  const faults: string[] = [];
  const given: Record<string, string> = {};
  const named = new Set<string>();
  for (const [name, field] of Object.entries(schema.shape)) {
    const path = isSecret(field) ? env[`${name}_FILE`] : undefined;
    if (path || env[name]) named.add(name);
    if (path && env[name]) faults.push(`${name}: is set, and ${name}_FILE too; unset one`);
    const value = path ? readSecret(`${name}_FILE`, path, faults) : env[name];
    if (value) given[name] = value;
  }
  const parsed = schema.safeParse(given);
  for (const issue of parsed.error?.issues ?? []) faults.push(`${String(issue.path[0])}: ${issue.message}`);
  faults.push(...halfPairs(named), ...tooLongNames(given));
  if (faults.length > 0 || !parsed.data) throw new SettingsError(faults);
  return parsed.data;
}

/** Whether a setting may come from a file, and must never be shown. */
export function isSecret(field: z.ZodType): boolean {
  return field.meta()?.['secret'] === true;
}

function readSecret(name: string, path: string, faults: string[]): string | undefined {
  try {
    const value = readFileSync(path, 'utf8').trimEnd();
    if (!value) faults.push(`${name}: the file it names is empty`);
    return value;
  } catch (error) {
    // Its value is not shown: it may be the secret itself, given in place of a path.
    const why = error instanceof Error && 'code' in error ? error.code : error;
    faults.push(`${name}: the file it names cannot be read (${why})`);
    return undefined;
  }
}

function tooLongNames({ QUEUE_NAME = DEFAULT_QUEUE_NAME, QUEUE_ID }: Record<string, string>): string[] {
  const fault = QUEUE_ID && lengthFault(QUEUE_NAME, QUEUE_ID);
  return fault ? [`QUEUE_NAME: ${fault}`] : [];
}

function halfPairs(named: ReadonlySet<string>): string[] {
  const together = [
    ['TLS_CERT_FILE', 'TLS_KEY_FILE'],
    ['NAGIOS_USERNAME', 'NAGIOS_PASSWORD'],
    ['CHEF_SERVER_URL', 'CHEF_CLIENT_NAME', 'CHEF_CLIENT_KEY'],
  ];
  return together.flatMap(names => {
    const missing = names.filter(name => !named.has(name));
    if (missing.length === 0 || missing.length === names.length) return [];
    const set = names.filter(name => named.has(name)).join(' and ');
    return missing.map(name => `${name}: missing, while ${set} is set`);
  });
}
