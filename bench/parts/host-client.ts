import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { keyPair } from '../../test/support/chef-server.ts';
import { makeHost } from '../../test/support/host/host.ts';
import { roleCredentials, startMetadata } from '../../test/support/host/metadata.ts';
import { instanceId } from '../../test/support/termination.ts';
import type { World } from '../../test/support/world.ts';
import { median } from '../statistics.ts';

const exec = promisify(execFile);
const CREDENTIALS = { id: 'ASIAROLE', secret: 'secret', token: 'token==' };

/** Median milliseconds of what ran by turns. */
interface HostTimes {
  /** `chef-registration-init stop` of a machine that powers off, after its `start`. */
  host: number;
  /** A curl that knows everything beforehand and signs the same request to the same SNS. */
  publish: number;
  /** The curls of which none can do without the answer of the one before: token, credentials, publish. */
  curls: number;
}

/** @throws Error when SNS or the instance metadata service did not take one of the requests */
export async function hostAgainstCurl(world: World, runs: number): Promise<HostTimes> {
  const metadata = await startMetadata({
    'instance-id': instanceId(1),
    'iam/security-credentials/': 'hosts',
    'iam/security-credentials/hosts': roleCredentials(CREDENTIALS),
  });
  try {
    const { topicArn } = world.hosts;
    const endpoint = world.aws?.url ?? '';
    const { privateKey } = keyPair();
    const settings = { TOPIC_ARN: topicArn, SNS_ENDPOINT: endpoint, METADATA_ENDPOINT: metadata.url };
    // As systemd starts it: what it says goes into the journal without a program of its own.
    const env = { JOURNAL_STREAM: '8:1' };
    const host = makeHost({ key: privateKey, node: 'alive', settings, env });
    host.systemdJobs('poweroff.target start');
    await host.run(['start']);
    const { stdout: message } = await host.run(['stop', '--dry-run']);

    const powerOff = async () => {
      const { stderr } = await host.run(['stop']);
      if (!stderr.includes('published delete of alive'))
        throw new Error(`the host did not publish: ${stderr}`);
    };
    const publish = () => curlPublish(endpoint, topicArn, message.trim());
    const curls = async () => {
      await curlCredentials(metadata.url);
      await publish();
    };
    const times: Record<keyof HostTimes, number[]> = { host: [], publish: [], curls: [] };
    await powerOff();
    await curls();
    for (let run = 0; run < runs; run++) {
      times.host.push(await milliseconds(powerOff));
      times.publish.push(await milliseconds(publish));
      times.curls.push(await milliseconds(curls));
    }
    return { host: median(times.host), publish: median(times.publish), curls: median(times.curls) };
  } finally {
    await metadata.stop();
  }
}

async function curlCredentials(metadata: string): Promise<void> {
  const { stdout: token } = await exec('curl', [
    ...['-sf', '-X', 'PUT', '-H', 'X-aws-ec2-metadata-token-ttl-seconds: 60'],
    `${metadata}/latest/api/token`,
  ]);
  const path = 'latest/meta-data/iam/security-credentials/hosts';
  await exec('curl', ['-sf', '-H', `X-aws-ec2-metadata-token: ${token}`, `${metadata}/${path}`]);
}

async function curlPublish(endpoint: string, topicArn: string, message: string): Promise<void> {
  const region = topicArn.split(':')[3];
  const form = { Action: 'Publish', Version: '2010-03-31', TopicArn: topicArn, Message: message };
  const { stdout } = await exec('curl', [
    ...['-sS', '-w', '\n%{http_code}', '--aws-sigv4', `aws:amz:${region}:sns`],
    ...['--user', `${CREDENTIALS.id}:${CREDENTIALS.secret}`],
    ...['--header', `X-Amz-Security-Token: ${CREDENTIALS.token}`],
    ...Object.entries(form).flatMap(([name, value]) => ['--data-urlencode', `${name}=${value}`]),
    `${endpoint}/`,
  ]);
  if (!stdout.endsWith('\n200')) throw new Error(`SNS did not take curl's message: ${stdout}`);
}

async function milliseconds(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
