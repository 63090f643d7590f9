import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { CREDENTIALS, REGION, signedScope } from '../clients/aws-stand-in.ts';

interface Asked {
  region: string;
  /** Of the filter `instance-id`; empty where all instances were asked for. */
  ids: string[];
}

/**
 * EC2 as far as `DescribeInstances` goes, for which there is no emulator here. It refuses what is not signed for it, and
 * anything else than that one action.
 */
export interface Ec2StandIn {
  options: { endpoint: string; region: string; credentials: typeof CREDENTIALS };
  /** What a service needs in its environment to ask this one. */
  env: Record<string, string>;
  /** Instance id -> state. */
  instances: Map<string, string>;
  /** What was asked so far. */
  asked: Asked[];
  pageSize: number;
  refuseNext: (code: string, message: string, status?: number) => void;
  /** Connections are cut until it is told otherwise. */
  unreachable: (away: boolean) => void;
  stop: () => void;
}

export async function startEc2StandIn(): Promise<Ec2StandIn> {
  let refusal: { status: number; body: string } | undefined;
  let away = false;
  const server = createServer(async (request, response) => {
    const body = await text(request);
    if (away) return void request.socket.destroy();
    const answer = (status: number, xml: string) =>
      response.writeHead(status, { 'content-type': 'text/xml' }).end(xml);
    const [region, service] = signedScope(request, body)?.split('/') ?? [];
    if (!region || service !== 'ec2') return void answer(401, errorXml('AuthFailure', 'wrong signature'));
    const form = new URLSearchParams(body);
    if (form.get('Action') !== 'DescribeInstances' || form.has('InstanceId.1')) {
      return void answer(400, errorXml('InvalidAction', String(form)));
    }
    const ids = filterValues(form);
    standIn.asked.push({ region, ids });
    const refused = refusal;
    refusal = undefined;
    if (refused) return void answer(refused.status, refused.body);
    const all = [...standIn.instances].filter(([id]) => ids.length === 0 || ids.includes(id));
    const from = Number(form.get('NextToken') ?? 0);
    const size = Math.min(standIn.pageSize, Number(form.get('MaxResults') ?? 1000));
    answer(200, listXml(all.slice(from, from + size), from + size < all.length ? from + size : undefined));
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
    instances: new Map(),
    asked: [],
    pageSize: 1000,
    refuseNext: (code, message, status = 400) => {
      refusal = { status, body: errorXml(code, message) };
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

function filterValues(form: URLSearchParams): string[] {
  if (!form.has('Filter.1.Name')) return [];
  if (form.get('Filter.1.Name') !== 'instance-id' || form.has('Filter.2.Name')) return ['another filter'];
  return [...form].filter(([name]) => name.startsWith('Filter.1.Value.')).map(([, value]) => value);
}

/** Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html */
function listXml(instances: [string, string][], next: number | undefined): string {
  const items = instances.map(
    ([id, state]) =>
      `<item><reservationId>r-1</reservationId><instancesSet><item><instanceId>${id}</instanceId><instanceState><code>16</code><name>${state}</name></instanceState></item></instancesSet></item>`,
  );
  const token = next === undefined ? '' : `<nextToken>${next}</nextToken>`;
  return `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId><reservationSet>${items.join('')}</reservationSet>${token}</DescribeInstancesResponse>`;
}

/** Source: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-error-codes.html */
function errorXml(code: string, message: string): string {
  return `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>x</RequestID></Response>`;
}
