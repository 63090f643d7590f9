import type { EC2Client, Filter, Reservation } from '@aws-sdk/client-ec2';
import { AppError, describe } from '../../domain/errors.ts';
import type { Ec2Answer, RegionInstances } from '../../domain/instance-end.ts';
import { type Pace, pacedBatches } from './batch.ts';
import { type AwsOptions, callAws, clientConfig } from './connection.ts';
import { StsClient } from './sts.ts';

/** Maximum number of ids in one call; EC2 takes up to 200 values of a filter. */
const BATCH = 100;
/** Instances per page. */
const PAGE = 1000;
const LIST_TIMEOUT_MS = 120_000;

/** Loaded on first use: it is by far the largest of the SDK's clients, and many services never ask EC2. */
const loadSdk = () => import('@aws-sdk/client-ec2');

interface Api {
  client: EC2Client;
  paginate: Awaited<ReturnType<typeof loadSdk>>['paginateDescribeInstances'];
}

interface Region {
  api: Promise<Api>;
  ask: (instanceId: string) => Promise<Ec2Answer>;
  /** Owners of the reservations seen so far: EC2 shows only those of the account that asks, so there is one at most. */
  owners: Set<string>;
}

/** Amazon EC2, as far as the service calls it: `ec2:DescribeInstances`. Every call throws as `callAws` does. */
export class Ec2Client {
  readonly #options: AwsOptions & Pace;
  readonly #regions = new Map<string | undefined, Region>();
  readonly #sts: StsClient;

  constructor(options: AwsOptions & Pace) {
    this.#options = options;
    this.#sts = new StsClient(options);
  }

  /**
   * Asks for the state of one instance. Questions share calls and calls are spread, because EC2 throttles:
   * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
   * @param region @default the configured one
   */
  instanceState(instanceId: string, region?: string): Promise<Ec2Answer> {
    return this.#in(region).ask(instanceId);
  }

  /** @param region @default the configured one */
  async instances(region?: string): Promise<RegionInstances> {
    const asked = this.#in(region);
    const states = await describeInstances(asked);
    return { states, ...(await this.#whereAsked(asked)) };
  }

  async close(): Promise<void> {
    for (const { api } of this.#regions.values()) (await api).client.destroy();
  }

  #in(name: string | undefined): Region {
    const known = this.#regions.get(name);
    if (known) return known;
    const region: Region = {
      api: openApi({ ...this.#options, region: name ?? this.#options.region }),
      ask: pacedBatches(ids => this.#askAbout(ids, region), BATCH, this.#options),
      owners: new Set(),
    };
    this.#regions.set(name, region);
    return region;
  }

  async #askAbout(ids: readonly string[], region: Region): Promise<(id: string) => Ec2Answer> {
    const states = await statesOf(region, ids);
    const where = await this.#whereAsked(region);
    return id => ({ state: states.get(id), ...where });
  }

  async #whereAsked({ api, owners }: Region): Promise<{ region: string; account: string | undefined }> {
    const region = await (await api).client.config.region();
    const [owner, another] = owners;
    if (another !== undefined) return { region, account: undefined };
    return { region, account: owner ?? (await this.#sts.account(region)) };
  }
}

async function openApi(options: AwsOptions): Promise<Api> {
  const { EC2Client, paginateDescribeInstances } = await loadSdk();
  return { client: new EC2Client(clientConfig(options)), paginate: paginateDescribeInstances };
}

/**
 * Asks by a filter, because one unknown id in `InstanceIds` fails the whole call. EC2 may fail it even then, for an
 * instance that it forgets meanwhile (https://github.com/boto/boto3/issues/977): ask again for the others.
 */
async function statesOf(region: Region, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  try {
    return await describeInstances(region, [{ Name: 'instance-id', Values: [...ids] }]);
  } catch (error) {
    const unknown = namedUnknown(error);
    const others = ids.filter(id => !unknown.has(id));
    if (others.length === ids.length) throw error;
    return statesOf(region, others);
  }
}

async function describeInstances(region: Region, filters?: Filter[]): Promise<Map<string, string>> {
  const { client, paginate } = await region.api;
  const call = {
    action: 'ec2:DescribeInstances',
    resource: '*',
    ...(!filters && { timeoutMs: LIST_TIMEOUT_MS }),
  };
  return callAws(call, async options => {
    const states = new Map<string, string>();
    const input = filters ? { Filters: filters } : {};
    for await (const page of paginate({ client, pageSize: PAGE }, input, options)) {
      // EC2 sends an empty list too; the SDK reads any other XML or HTML, such as a proxy's page, as an answer without one.
      if (!page.Reservations) throw incomplete('it has no list of reservations');
      for (const reservation of page.Reservations) addStates(reservation, states, region.owners);
    }
    return states;
  });
}

function addStates(
  { OwnerId, Instances = [] }: Reservation,
  states: Map<string, string>,
  owners: Set<string>,
): void {
  if (OwnerId) owners.add(OwnerId);
  for (const { InstanceId, State } of Instances) {
    if (!InstanceId || !State?.Name) throw incomplete('an instance has no id or no state');
    states.set(InstanceId, State.Name);
  }
}

function incomplete(what: string): AppError {
  return new AppError('unavailable', `the answer of EC2 to DescribeInstances is incomplete: ${what}`);
}

/** `InvalidInstanceID.NotFound`: `The instance IDs 'i-…, i-…' do not exist`. */
function namedUnknown(error: unknown): Set<string> {
  const cause = error instanceof AppError ? error.cause : undefined;
  if (!(cause instanceof Error && cause.name === 'InvalidInstanceID.NotFound')) return new Set();
  return new Set(describe(cause).match(/i-[0-9a-f]+/g));
}
