import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { CREDENTIALS, queryError, REGION, signedScope } from './clients/aws-stand-in.ts';

interface Asked {
  region: string;
  /** Of the filter `instance-id`; empty if all instances were asked for. */
  ids: string[];
}

interface Answer {
  status: number;
  body: string;
}

interface Refusal {
  status: number;
  code: string;
  message: string;
}

/**
 * EC2 as far as `DescribeInstances` goes, Auto Scaling as far as `DescribeAutoScalingInstances` and lifecycle actions go, and STS as
 * far as `GetCallerIdentity` goes: there is no emulator of the three here. It refuses what is not signed for the service,
 * any other action, and more ids than AWS takes.
 */
export interface Ec2StandIn {
  options: { endpoint: string; region: string; credentials: typeof CREDENTIALS };
  /** What a service needs in its environment to ask this one. */
  env: Record<string, string>;
  /** Account of the credentials, and owner of all instances. */
  account: string;
  /** Whether STS answers. */
  sts: boolean;
  /** Instance id -> state, as EC2 says it. */
  instances: Map<string, string>;
  /** What Auto Scaling says of an instance. */
  groups: Map<string, { group: string; state: string }>;
  /** Instance id -> the one region that knows it; any other instance is known in every region. */
  onlyIn: Map<string, string>;
  /** What EC2 was asked so far. */
  asked: Asked[];
  /** What the other services were asked so far. */
  askedElse: { region: string; service: string; form: Record<string, string> }[];
  /** Of EC2 and of Auto Scaling. */
  pageSize: number;
  /** Answers the next request, of whatever service, with an error; or the one after `skip` others. */
  refuseNext: (code: string, message: string, status?: number, skip?: number) => void;
  /** Answers it with a text and status 200. */
  answerNext: (body: string, skip?: number) => void;
  /** Connections are cut until this is called with false. */
  unreachable: (away: boolean) => void;
  stop: () => void;
}

export async function startEc2StandIn(): Promise<Ec2StandIn> {
  const next: (Answer | Refusal | undefined)[] = [];
  let away = false;
  const server = createServer(async (request, response) => {
    const body = await text(request);
    if (away) return void request.socket.destroy();
    const [region = '', service = ''] = signedScope(request, body)?.split('/') ?? [];
    const form = new URLSearchParams(body);
    note(standIn, region, service, form);
    const answer = next.shift() ?? answerOf(standIn, region, service, form);
    const xml = 'body' in answer ? answer.body : errorXml(service, answer);
    response.writeHead(answer.status, { 'content-type': 'text/xml' }).end(xml);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const standIn: Ec2StandIn = {
    options: { endpoint, region: REGION, credentials: CREDENTIALS },
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    },
    account: '000000000000',
    sts: true,
    instances: new Map(),
    onlyIn: new Map(),
    groups: new Map(),
    asked: [],
    askedElse: [],
    pageSize: 1000,
    refuseNext: (code, message, status = 400, skip = 0) => {
      next.push(...Array(skip).fill(undefined), { status, code, message });
    },
    answerNext: (body, skip = 0) => {
      next.push(...Array(skip).fill(undefined), { status: 200, body });
    },
    unreachable: now => {
      away = now;
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  return standIn;
}

function note(
  { asked, askedElse }: Ec2StandIn,
  region: string,
  service: string,
  form: URLSearchParams,
): void {
  if (service === 'ec2') asked.push({ region, ids: filterValues(form) });
  else askedElse.push({ region, service, form: Object.fromEntries(form) });
}

function answerOf(
  standIn: Ec2StandIn,
  region: string,
  service: string,
  form: URLSearchParams,
): Answer | Refusal {
  const action = form.get('Action') ?? '';
  switch (`${service} ${action}`) {
    case 'ec2 DescribeInstances':
      return describeInstances(standIn, region, form);
    case 'autoscaling DescribeAutoScalingInstances':
      return describeAutoScalingInstances(standIn, region, form);
    case 'autoscaling CompleteLifecycleAction':
    case 'autoscaling RecordLifecycleActionHeartbeat':
      return lifecycleAction(standIn, region, form);
    case 'sts GetCallerIdentity':
      return callerIdentity(standIn);
    default:
      return service === ''
        ? { status: 401, code: 'AuthFailure', message: 'wrong signature' }
        : { status: 400, code: 'InvalidAction', message: `${service} ${action}` };
  }
}

/** Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html */
function describeInstances(standIn: Ec2StandIn, region: string, form: URLSearchParams): Answer | Refusal {
  const ids = filterValues(form);
  if (form.has('InstanceId.1')) return { status: 400, code: 'InvalidParameter', message: String(form) };
  if (ids.length > 200) return { status: 400, code: 'FilterLimitExceeded', message: `${ids.length} values` };
  const { account, instances } = standIn;
  const all = [...instances].filter(
    ([id]) => (ids.length === 0 || ids.includes(id)) && isIn(standIn, region, id),
  );
  const { items, next } = pageOf(
    all,
    standIn.pageSize,
    form.get('MaxResults') ?? '1000',
    form.get('NextToken'),
  );
  const reservations = items.map(
    ([id, state]) =>
      `<item><reservationId>r-1</reservationId><ownerId>${account}</ownerId><instancesSet><item><instanceId>${id}</instanceId><instanceState><code>16</code><name>${state}</name></instanceState></item></instancesSet></item>`,
  );
  const token = next === undefined ? '' : `<nextToken>${next}</nextToken>`;
  const body = `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId><reservationSet>${reservations.join('')}</reservationSet>${token}</DescribeInstancesResponse>`;
  return { status: 200, body };
}

/** Source: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingInstances.html */
function describeAutoScalingInstances(
  standIn: Ec2StandIn,
  region: string,
  form: URLSearchParams,
): Answer | Refusal {
  const ids = [...form].filter(([name]) => name.startsWith('InstanceIds.member.')).map(([, id]) => id);
  if (ids.length === 0 || ids.length > 50) {
    return { status: 400, code: 'ValidationError', message: `${ids.length} ids` };
  }
  const all = [...standIn.groups].filter(([id]) => ids.includes(id) && isIn(standIn, region, id));
  const { items, next } = pageOf(
    all,
    standIn.pageSize,
    form.get('MaxRecords') ?? '50',
    form.get('NextToken'),
  );
  const members = items.map(
    ([id, { group, state }]) =>
      `<member><InstanceId>${id}</InstanceId><AutoScalingGroupName>${group}</AutoScalingGroupName><AvailabilityZone>${region}a</AvailabilityZone><LifecycleState>${state}</LifecycleState><HealthStatus>HEALTHY</HealthStatus><ProtectedFromScaleIn>false</ProtectedFromScaleIn></member>`,
  );
  const token = next === undefined ? '' : `<NextToken>${next}</NextToken>`;
  return autoScalingAnswer(
    'DescribeAutoScalingInstances',
    `<AutoScalingInstances>${members.join('')}</AutoScalingInstances>${token}`,
  );
}

/** Takes the action of an instance that waits in the group that is named, whatever its hook and token. */
function lifecycleAction(standIn: Ec2StandIn, region: string, form: URLSearchParams): Answer | Refusal {
  const action = form.get('Action') ?? '';
  const id = form.get('InstanceId') ?? '';
  const known = isIn(standIn, region, id) ? standIn.groups.get(id) : undefined;
  if (!known?.state.endsWith(':Wait') || known.group !== form.get('AutoScalingGroupName')) {
    const message = `No active Lifecycle Action found with instance ID ${id}`;
    return { status: 400, code: 'ValidationError', message };
  }
  if (action === 'CompleteLifecycleAction') known.state = known.state.replace(':Wait', ':Proceed');
  return autoScalingAnswer(action, '');
}

function autoScalingAnswer(action: string, result: string): Answer {
  const body = `<${action}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><${action}Result>${result}</${action}Result></${action}Response>`;
  return { status: 200, body };
}

/** Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html */
function callerIdentity({ sts, account }: Ec2StandIn): Answer | Refusal {
  if (!sts) return { status: 503, code: 'ServiceUnavailable', message: 'later' };
  const identity = `<Arn>arn:aws:sts::${account}:assumed-role/service/i-0</Arn><UserId>A:i-0</UserId><Account>${account}</Account>`;
  const body = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>${identity}</GetCallerIdentityResult></GetCallerIdentityResponse>`;
  return { status: 200, body };
}

function isIn({ onlyIn }: Ec2StandIn, region: string, id: string): boolean {
  return (onlyIn.get(id) ?? region) === region;
}

function pageOf<T>(all: T[], pageSize: number, most: string, token: string | null) {
  const from = Number(token ?? 0);
  const to = from + Math.min(pageSize, Number(most));
  return { items: all.slice(from, to), next: to < all.length ? to : undefined };
}

function filterValues(form: URLSearchParams): string[] {
  if (!form.has('Filter.1.Name')) return [];
  if (form.get('Filter.1.Name') !== 'instance-id' || form.has('Filter.2.Name')) return ['another filter'];
  return [...form].filter(([name]) => name.startsWith('Filter.1.Value.')).map(([, value]) => value);
}

/** Source: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-error-codes.html */
function errorXml(service: string, { code, message }: Refusal): string {
  if (service !== 'ec2') return queryError(code, message);
  return `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>x</RequestID></Response>`;
}
