import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { AlertChannel } from '../alerts/channel.ts';
import { snsAlerts } from '../alerts/sns-channel.ts';
import { webhookAlerts } from '../alerts/webhook-channel.ts';
import type { Archive } from '../clients/archive/archive.ts';
import { openFileArchive } from '../clients/archive/file/archive.ts';
import { AutoScalingClient } from '../clients/aws/autoscaling.ts';
import type { AwsOptions } from '../clients/aws/connection.ts';
import { Ec2Client } from '../clients/aws/ec2.ts';
import { SnsClient } from '../clients/aws/sns.ts';
import { SqsClient } from '../clients/aws/sqs.ts';
import { ChefClient } from '../clients/chef/client.ts';
import { readCredentials } from '../clients/chef/credentials.ts';
import { readCertificates, readTrustedCerts } from '../clients/chef/trusted-certificates.ts';
import type { ObserveCall } from '../clients/http/request.ts';
import { NagiosClient } from '../clients/nagios/client.ts';
import type { Settings } from '../config.ts';
import { describe, SettingsError } from '../domain/errors.ts';
import type { ShutdownStack } from './shutdown.ts';

/** Every way out of the service. */
export interface Clients {
  chef: ChefClient;
  /** undefined where NAGIOS_URL is not set. */
  nagios: NagiosClient | undefined;
  archive: Archive;
  sns: SnsClient;
  sqs: SqsClient;
  autoScaling: AutoScalingClient;
  ec2: Ec2Client;
  /** The ways to people, besides the log; `Alerts` closes them. */
  alertChannels: AlertChannel[];
}

/** Nothing is called yet. @param observe called after every call @throws SettingsError where settings that are right by themselves cannot be used */
export async function openClients(
  settings: Settings,
  shutdown: ShutdownStack,
  observe?: ObserveCall,
): Promise<Clients> {
  const aws = { endpoint: settings.AWS_ENDPOINT_URL?.href, region: settings.AWS_REGION, observe };
  const sns = shutdown.add('SNS client', new SnsClient(aws), client => client.close());
  return {
    chef: shutdown.add('Chef client', openChef(settings, observe), client => client.close()),
    nagios: shutdown.add('Nagios client', openNagios(settings, observe), client => client?.close()),
    archive: shutdown.add('archive', await openArchive(settings.ARCHIVE_URL, aws), archive =>
      archive.close(),
    ),
    sns,
    sqs: shutdown.add('SQS client', new SqsClient(aws), client => client.close()),
    autoScaling: shutdown.add('Auto Scaling client', new AutoScalingClient(aws), client => client.close()),
    ec2: shutdown.add('EC2 client', new Ec2Client(aws), client => client.close()),
    alertChannels: openAlertChannels(settings, sns, observe),
  };
}

function openChef(settings: Settings, observe: ObserveCall | undefined): ChefClient {
  const { CHEF_SERVER_URL, CHEF_CLIENT_NAME, CHEF_CLIENT_KEY, CHEF_PROFILE } = settings;
  const trusted = trustedByFile(settings);
  try {
    const access =
      CHEF_SERVER_URL && CHEF_CLIENT_NAME && CHEF_CLIENT_KEY
        ? { url: CHEF_SERVER_URL.href, clientName: CHEF_CLIENT_NAME, key: CHEF_CLIENT_KEY, trusted }
        : knifeAccess(CHEF_PROFILE, trusted);
    return new ChefClient({ ...access, signing: settings.CHEF_SIGNING, observe });
  } catch (error) {
    const names = CHEF_SERVER_URL ? 'CHEF_SERVER_URL, CHEF_CLIENT_KEY' : 'CHEF_SERVER_URL';
    throw new SettingsError([`${names}: ${CHEF_SERVER_URL ? '' : 'not set, and '}${describe(error)}`]);
  }
}

function trustedByFile({ CHEF_CA_FILE }: Settings): string[] {
  try {
    return CHEF_CA_FILE ? readCertificates(CHEF_CA_FILE) : [];
  } catch (error) {
    throw new SettingsError([`CHEF_CA_FILE: ${describe(error)}`]);
  }
}

/** What knife uses: its credentials, and the certificates that it trusts. */
function knifeAccess(profile: string, trusted: string[]) {
  const folder = `${homedir()}/.chef`;
  return {
    ...readCredentials(profile, `${folder}/credentials`),
    trusted: [...trusted, ...readTrustedCerts(`${folder}/trusted_certs`)],
    trustAdvice: `run knife ssl fetch, which saves it in ${folder}/trusted_certs, or set CHEF_CA_FILE to a PEM file with it or its authority`,
  };
}

function openNagios(settings: Settings, observe: ObserveCall | undefined): NagiosClient | undefined {
  if (!settings.NAGIOS_URL) return undefined;
  return new NagiosClient({
    url: settings.NAGIOS_URL.href,
    username: settings.NAGIOS_USERNAME,
    password: settings.NAGIOS_PASSWORD,
    downtimeMinutes: settings.NAGIOS_DOWNTIME_MINUTES,
    dateFormat: settings.NAGIOS_DATE_FORMAT,
    timezone: settings.NAGIOS_TIMEZONE,
    observe,
  });
}

function openAlertChannels(
  { ALERT_TOPIC_ARN, ALERT_WEBHOOK_URL }: Settings,
  sns: SnsClient,
  observe: ObserveCall | undefined,
): AlertChannel[] {
  return [
    ...(ALERT_TOPIC_ARN ? [snsAlerts(ALERT_TOPIC_ARN, (topic, message) => sns.publish(topic, message))] : []),
    ...(ALERT_WEBHOOK_URL ? [webhookAlerts({ url: ALERT_WEBHOOK_URL, observe })] : []),
  ];
}

/** `file://./archive` is below the directory in which the service was started. */
async function openArchive(url: string, aws: AwsOptions): Promise<Archive> {
  if (url.startsWith('s3://')) {
    // Loaded where it is wanted: the SDK's client of S3 is large.
    const { openS3Archive } = await import('../clients/archive/s3/archive.ts');
    const { host: bucket, pathname, search } = new URL(url);
    const encryption = search ? 'bucket' : 'AES256';
    return openS3Archive({ ...aws, bucket, prefix: decodeURIComponent(pathname), encryption });
  }
  return openFileArchive(resolve(decodeURIComponent(url.slice('file://'.length))));
}
