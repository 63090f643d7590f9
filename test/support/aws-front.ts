import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { CREDENTIALS, REGION, signedScope } from './clients/aws-stand-in.ts';

/** One endpoint for all AWS services: it answers as Auto Scaling itself and forwards every other request. */
export interface AwsFront {
  /** Environment of a service that uses this endpoint. */
  env: Record<string, string>;
  /** Requests to Auto Scaling so far, with the region that each was signed for. */
  asked: { region: string; form: Record<string, string> }[];
  stop: () => void;
}

interface AwsFrontOptions {
  /** Service name in the request's signature -> endpoint to forward to. */
  behind?: Record<string, string>;
  /** Lifecycle state that Auto Scaling shows for every instance. @default 'InService' */
  lifecycleState?: string;
}

/** There is no emulator of Auto Scaling here: this one accepts every lifecycle action. */
export async function startAwsFront(options: AwsFrontOptions = {}): Promise<AwsFront> {
  const { behind = {}, lifecycleState = 'InService' } = options;
  const asked: AwsFront['asked'] = [];
  const server = createServer(async (incoming, outgoing) => {
    const body = await text(incoming);
    const [region = '', service = ''] = signedScope(incoming, body)?.split('/') ?? [];
    const endpoint = behind[service];
    if (endpoint) return forward(incoming, body, endpoint, outgoing);
    if (service !== 'autoscaling') return void outgoing.writeHead(403).end();
    const form = Object.fromEntries(new URLSearchParams(body));
    asked.push({ region, form });
    outgoing.writeHead(200, { 'content-type': 'text/xml' }).end(autoScalingAnswer(form, lifecycleState));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    env: {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    },
    asked,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Sends the same request to another server and copies its answer. */
function forward(
  { method, headers, url = '/' }: IncomingMessage,
  body: string,
  endpoint: string,
  outgoing: ServerResponse,
): void {
  request(new URL(url, endpoint), { method, headers }, answer => {
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(outgoing);
  })
    .once('error', () => outgoing.destroy())
    .end(body);
}

/** Source: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingInstances.html */
function autoScalingAnswer(form: Record<string, string>, lifecycleState: string): string {
  const { Action: action = '' } = form;
  const ids = Object.entries(form).flatMap(([name, value]) =>
    name.startsWith('InstanceIds.member.') ? [value] : [],
  );
  const members = ids.map(
    id =>
      `<member><InstanceId>${id}</InstanceId><AutoScalingGroupName>web-asg</AutoScalingGroupName><AvailabilityZone>${REGION}a</AvailabilityZone><LifecycleState>${lifecycleState}</LifecycleState><HealthStatus>HEALTHY</HealthStatus><ProtectedFromScaleIn>false</ProtectedFromScaleIn></member>`,
  );
  const result =
    action === 'DescribeAutoScalingInstances'
      ? `<AutoScalingInstances>${members.join('')}</AutoScalingInstances>`
      : '';
  return `<${action}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><${action}Result>${result}</${action}Result></${action}Response>`;
}
