import { setTimeout as delay } from 'node:timers/promises';
import type { EC2Client, Filter } from '@aws-sdk/client-ec2';
import { AppError, describe } from '../errors.ts';
import { type AwsOptions, callAws, clientConfig } from './aws.ts';

export interface Ec2Options extends AwsOptions {
  /** How long a question waits for others to share its call, in milliseconds; 50 unless told. */
  gatherMs?: number;
  /** Least time between two calls to a region, in milliseconds; 200 unless told. */
  pauseMs?: number;
}

/** `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`; undefined where EC2 has no such instance. */
export type InstanceState = string | undefined;

/** Ids of one call; EC2 takes up to 200 values of a filter. */
const BATCH = 100;
/** Instances of one page. */
const PAGE = 1000;
const LIST_TIMEOUT_MS = 120_000;

/** Loaded when first needed: it is by far the largest of the SDK's clients, and most services never ask EC2. */
const loadSdk = () => import('@aws-sdk/client-ec2');

interface Api {
  client: EC2Client;
  paginate: Awaited<ReturnType<typeof loadSdk>>['paginateDescribeInstances'];
}

interface Region {
  api: Promise<Api>;
  waiting: Map<string, PromiseWithResolvers<InstanceState>>;
  asking: boolean;
}

/** Amazon EC2, as far as the service calls it: `ec2:DescribeInstances`. Every call throws as `callAws` does. */
export class Ec2Client {
  readonly #options: AwsOptions;
  readonly #regions = new Map<string | undefined, Region>();
  readonly #pace: { gatherMs: number; pauseMs: number };

  constructor(options: Ec2Options) {
    const { gatherMs = 50, pauseMs = 200 } = options;
    this.#pace = { gatherMs, pauseMs };
    this.#options = options;
  }

  /**
   * The state of an instance. Who asks at about the same time shares a call, and calls are spread, since EC2 refuses
   * whoever asks often: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
   * @param region the configured one unless told
   */
  instanceState(instanceId: string, region?: string): Promise<InstanceState> {
    const asked = this.#in(region);
    const answer = asked.waiting.get(instanceId) ?? Promise.withResolvers<InstanceState>();
    asked.waiting.set(instanceId, answer);
    if (!asked.asking) void this.#ask(asked);
    return answer.promise;
  }

  /** All instances of a region that EC2 knows, those that ended within the last hour or so among them. */
  async instances(region?: string): Promise<Map<string, InstanceState>> {
    return describeInstances(await this.#in(region).api);
  }

  async close(): Promise<void> {
    for (const { api } of this.#regions.values()) (await api).client.destroy();
  }

  #in(region: string | undefined): Region {
    const known = this.#regions.get(region) ?? {
      api: openApi({ ...this.#options, region: region ?? this.#options.region }),
      waiting: new Map(),
      asking: false,
    };
    this.#regions.set(region, known);
    return known;
  }

  async #ask(region: Region): Promise<void> {
    region.asking = true;
    await delay(this.#pace.gatherMs);
    while (region.waiting.size > 0) {
      const batch = [...region.waiting].slice(0, BATCH);
      for (const [id] of batch) region.waiting.delete(id);
      try {
        const states = await statesOf(
          await region.api,
          batch.map(([id]) => id),
        );
        for (const [id, answer] of batch) answer.resolve(states.get(id));
      } catch (error) {
        for (const [, answer] of batch) answer.reject(error);
      }
      await delay(this.#pace.pauseMs);
    }
    region.asking = false;
  }
}

async function openApi(options: AwsOptions): Promise<Api> {
  const { EC2Client, paginateDescribeInstances } = await loadSdk();
  return { client: new EC2Client(clientConfig(options)), paginate: paginateDescribeInstances };
}

/**
 * Asked by a filter, since one unknown id in `InstanceIds` fails the whole call. EC2 may answer so even then, of an
 * instance that it forgets meanwhile (https://github.com/boto/boto3/issues/977): the others are asked for again.
 */
async function statesOf(api: Api, ids: readonly string[]): Promise<Map<string, InstanceState>> {
  if (ids.length === 0) return new Map();
  try {
    return await describeInstances(api, [{ Name: 'instance-id', Values: [...ids] }]);
  } catch (error) {
    const unknown = namedUnknown(error);
    const others = ids.filter(id => !unknown.has(id));
    if (others.length === ids.length) throw error;
    return statesOf(api, others);
  }
}

async function describeInstances(api: Api, filters?: Filter[]): Promise<Map<string, InstanceState>> {
  const call = {
    action: 'ec2:DescribeInstances',
    resource: '*',
    ...(!filters && { timeoutMs: LIST_TIMEOUT_MS }),
  };
  return callAws(call, async options => {
    const states = new Map<string, InstanceState>();
    const input = filters ? { Filters: filters } : {};
    for await (const page of api.paginate({ client: api.client, pageSize: PAGE }, input, options)) {
      for (const { Instances = [] } of page.Reservations ?? []) {
        for (const { InstanceId, State } of Instances) {
          // A state that is not told is not the end of an instance.
          if (InstanceId) states.set(InstanceId, State?.Name ?? 'of unknown state');
        }
      }
    }
    return states;
  });
}

/** `InvalidInstanceID.NotFound`: `The instance IDs 'i-…, i-…' do not exist`. */
function namedUnknown(error: unknown): Set<string> {
  const cause = error instanceof AppError ? error.cause : undefined;
  if (!(cause instanceof Error && cause.name === 'InvalidInstanceID.NotFound')) return new Set();
  return new Set(describe(cause).match(/i-[0-9a-f]+/g));
}
