import { AppError, describe } from '../../domain/errors.ts';
import type { AutoScalingAnswer } from '../../domain/instance-end.ts';
import { type Pace, pacedBatches } from './batch.ts';
import { type AwsOptions, ByRegion, callAws, clientConfig } from './connection.ts';

/** A lifecycle action of an instance that waits in `Terminating:Wait`. */
export interface WaitingInstance {
  group: string;
  hook: string;
  instanceId: string;
  /** Absent if the notice carried none; Auto Scaling then finds the action by the instance. */
  token?: string | undefined;
  /** Of the group. @default the configured region */
  region?: string | undefined;
}

/** Maximum number of ids in one call. */
const BATCH = 50;

/** Loaded on first use: most services have no lifecycle hook. */
const loadSdk = () => import('@aws-sdk/client-auto-scaling');

type Sdk = Awaited<ReturnType<typeof loadSdk>>;
type Api = InstanceType<Sdk['AutoScalingClient']>;
type Send = (sdk: Sdk, client: Api, options: { abortSignal: AbortSignal }) => Promise<unknown>;

interface Loaded {
  sdk: Sdk;
  clients: ByRegion<Api>;
  /** Send each request once. */
  clientsWithoutRetries: ByRegion<Api>;
}

export type LifecycleResult = 'CONTINUE' | 'ABANDON';

/** Amazon EC2 Auto Scaling, as far as the service calls it. Every call throws as `callAws` does. */
export class AutoScalingClient {
  readonly #options: AwsOptions & Pace;
  readonly #ask = new Map<string | undefined, (instanceId: string) => Promise<AutoScalingAnswer>>();
  #loaded: Promise<Loaded> | undefined;

  constructor(options: AwsOptions & Pace) {
    this.#options = options;
  }

  /**
   * Asks for the lifecycle state and the group of one instance. Questions share calls, and calls are spread.
   * @param region @default the configured one
   */
  instanceState(instanceId: string, region?: string): Promise<AutoScalingAnswer> {
    const ask =
      this.#ask.get(region) ?? pacedBatches(ids => this.#askAbout(ids, region), BATCH, this.#options);
    this.#ask.set(region, ask);
    return ask(instanceId);
  }

  /**
   * Lets the termination go on.
   * @returns `gone` if Auto Scaling knows no such action: it was completed by someone else or timed out, or the
   * region or account is the wrong one
   */
  async completeLifecycleAction(
    instance: WaitingInstance,
    result: LifecycleResult,
  ): Promise<'completed' | 'gone'> {
    const input = { ...parameters(instance), LifecycleActionResult: result };
    const known = await this.#act('autoscaling:CompleteLifecycleAction', instance, (sdk, client, options) =>
      client.send(new sdk.CompleteLifecycleActionCommand(input), options),
    );
    return known ? 'completed' : 'gone';
  }

  /**
   * Restarts the hook's time limit; a hook waits at most 48 hours in all, or 100 times its limit.
   * Source: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RecordLifecycleActionHeartbeat.html
   * @returns `gone` as `completeLifecycleAction` does
   */
  async recordHeartbeat(instance: WaitingInstance): Promise<'recorded' | 'gone'> {
    const input = parameters(instance);
    const known = await this.#act(
      'autoscaling:RecordLifecycleActionHeartbeat',
      instance,
      (sdk, client, options) => client.send(new sdk.RecordLifecycleActionHeartbeatCommand(input), options),
    );
    return known ? 'recorded' : 'gone';
  }

  async close(): Promise<void> {
    const loaded = await this.#loaded;
    loaded?.clients.close();
    loaded?.clientsWithoutRetries.close();
  }

  #load(): Promise<Loaded> {
    this.#loaded ??= loadSdk().then(sdk => {
      const make = (more: object) =>
        new ByRegion((region = this.#options.region) => {
          return new sdk.AutoScalingClient({ ...clientConfig({ ...this.#options, region }), ...more });
        });
      return { sdk, clients: make({}), clientsWithoutRetries: make({ maxAttempts: 1 }) };
    });
    return this.#loaded;
  }

  async #askAbout(
    ids: readonly string[],
    region: string | undefined,
  ): Promise<(id: string) => AutoScalingAnswer> {
    const { sdk, clients } = await this.#load();
    const client = clients.in(region);
    const call = { action: 'autoscaling:DescribeAutoScalingInstances', resource: '*' };
    const answers = await callAws(call, async options => {
      const found = new Map<string, AutoScalingAnswer>();
      const input = { InstanceIds: [...ids] };
      for await (const page of sdk.paginateDescribeAutoScalingInstances({ client }, input, options)) {
        // Auto Scaling sends an empty list too; the SDK reads any other XML or HTML as an answer without one.
        if (!page.AutoScalingInstances) throw incomplete('it has no list of instances');
        for (const { InstanceId, LifecycleState, AutoScalingGroupName } of page.AutoScalingInstances) {
          if (!InstanceId || !LifecycleState) throw incomplete('an instance has no id or no state');
          found.set(InstanceId, { state: LifecycleState, group: AutoScalingGroupName });
        }
      }
      return found;
    });
    return id => answers.get(id) ?? { state: undefined, group: undefined };
  }

  /**
   * A token names one action for good, so the SDK may repeat the request. Without one it means whatever action of this hook
   * and instance is active when the request arrives: then only the step tries again, after its checks.
   * @returns false if Auto Scaling knows no such action
   */
  async #act(action: string, { group, region, token }: WaitingInstance, send: Send): Promise<boolean> {
    const { sdk, clients, clientsWithoutRetries } = await this.#load();
    const client = (token ? clients : clientsWithoutRetries).in(region);
    const resource = `arn:aws:autoscaling:${region ?? '*'}:*:autoScalingGroup:*:autoScalingGroupName/${group}`;
    try {
      await callAws({ action, resource }, options => send(sdk, client, options));
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }
}

function parameters({ group, hook, instanceId, token }: WaitingInstance) {
  return {
    AutoScalingGroupName: group,
    LifecycleHookName: hook,
    InstanceId: instanceId,
    ...(token && { LifecycleActionToken: token }),
  };
}

function incomplete(what: string): AppError {
  return new AppError(
    'unavailable',
    `the answer of Auto Scaling to DescribeAutoScalingInstances is incomplete: ${what}`,
  );
}

/** `ValidationError`: `No active Lifecycle Action found with instance ID i-…`, or `with token …`. */
function isGone(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.code === 'rejected' &&
    /No active Lifecycle Action found/i.test(describe(error))
  );
}
