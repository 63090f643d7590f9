import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { makeHost } from '../../test/host/host.ts';
import { roleCredentials, startMetadata } from '../../test/host/metadata.ts';
import { keyPair } from '../../test/parts/chef-server.ts';
import { instanceId, type World } from '../../test/parts/world.ts';
import { median } from '../statistics.ts';

const exec = promisify(execFile);
const CREDENTIALS = { id: 'ASIAROLE', secret: 'secret', token: 'token==' };

/**
 * `chef-registration-init stop` of a machine that powers off, with instance metadata, against a curl that knows
 * everything beforehand and signs the same request to the same SNS; by turns, median milliseconds of each.
 */
export async function hostAgainstCurl(world: World, runs: number): Promise<{ host: number; curl: number }> {
  const metadata = await startMetadata({
    'instance-id': instanceId(1),
    'iam/security-credentials/': 'hosts',
    'iam/security-credentials/hosts': roleCredentials(CREDENTIALS),
  });
  try {
    const topicArn = world.publisher.topicArn;
    const endpoint = world.aws?.url ?? '';
    const { privateKey } = keyPair();
    const settings = { TOPIC_ARN: topicArn, SNS_ENDPOINT: endpoint, METADATA_ENDPOINT: metadata.url };
    const host = makeHost({ key: privateKey, node: 'alive', settings });
    host.systemdJobs('poweroff.target start');
    const { stdout: message } = await host.run(['stop', '--dry-run']);

    const powerOff = async () => {
      const { stderr } = await host.run(['stop']);
      if (!stderr.includes('published delete of alive'))
        throw new Error(`the host did not publish: ${stderr}`);
    };
    const publish = () => curl(endpoint, topicArn, message.trim());
    const times: Record<'host' | 'curl', number[]> = { host: [], curl: [] };
    await powerOff();
    await publish();
    for (let run = 0; run < runs; run++) {
      times.host.push(await milliseconds(powerOff));
      times.curl.push(await milliseconds(publish));
    }
    return { host: median(times.host), curl: median(times.curl) };
  } finally {
    await metadata.stop();
  }
}

async function curl(endpoint: string, topicArn: string, message: string): Promise<void> {
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
