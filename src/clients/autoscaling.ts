import { AppError, describe } from '../errors.ts';
import { type AwsOptions, ByRegion, callAws, clientConfig } from './aws.ts';

/** A lifecycle action of an instance that waits in `Terminating:Wait`. */
export interface WaitingInstance {
  group: string;
  hook: string;
  instanceId: string;
  /** Absent where the notice carried none; Auto Scaling then finds the action by the instance. */
  token?: string | undefined;
  /** Of the group; the configured one unless told. */
  region?: string | undefined;
}

/** Loaded when first needed: most services have no lifecycle hook. */
const loadSdk = () => import('@aws-sdk/client-auto-scaling');

type Sdk = Awaited<ReturnType<typeof loadSdk>>;
type Api = InstanceType<Sdk['AutoScalingClient']>;

interface Loaded {
  sdk: Sdk;
  clients: ByRegion<Api>;
}

export type LifecycleResult = 'CONTINUE' | 'ABANDON';

/** Amazon EC2 Auto Scaling, as far as the service calls it. */
export class AutoScalingClient {
  readonly #options: AwsOptions;
  #loaded: Promise<Loaded> | undefined;

  constructor(options: AwsOptions) {
    this.#options = options;
  }

  /**
   * Lets the termination go on.
   * @returns `gone` where nothing waits any more: completed by someone else, or timed out
   * @throws AppError as `callAws` does
   */
  async completeLifecycleAction(
    instance: WaitingInstance,
    result: LifecycleResult,
  ): Promise<'completed' | 'gone'> {
    const input = { ...parameters(instance), LifecycleActionResult: result };
    const waited = await this.#call('autoscaling:CompleteLifecycleAction', instance, (sdk, client, options) =>
      client.send(new sdk.CompleteLifecycleActionCommand(input), options),
    );
    return waited ? 'completed' : 'gone';
  }

  /**
   * Starts the hook's time limit anew; a hook waits at most 48 hours in all, or 100 times its limit.
   * Source: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RecordLifecycleActionHeartbeat.html
   * @returns `gone` where nothing waits any more
   * @throws AppError as `callAws` does
   */
  async recordHeartbeat(instance: WaitingInstance): Promise<'recorded' | 'gone'> {
    const input = parameters(instance);
    const waited = await this.#call(
      'autoscaling:RecordLifecycleActionHeartbeat',
      instance,
      (sdk, client, options) => client.send(new sdk.RecordLifecycleActionHeartbeatCommand(input), options),
    );
    return waited ? 'recorded' : 'gone';
  }

  async close(): Promise<void> {
    (await this.#loaded)?.clients.close();
  }

  #load(): Promise<Loaded> {
    this.#loaded ??= loadSdk().then(sdk => {
      const of = (region = this.#options.region) =>
        new sdk.AutoScalingClient(clientConfig({ ...this.#options, region }));
      return { sdk, clients: new ByRegion(of) };
    });
    return this.#loaded;
  }

  /** @returns false where Auto Scaling knows of no such action */
  async #call(
    action: string,
    { group, region }: WaitingInstance,
    send: (sdk: Sdk, client: Api, options: { abortSignal: AbortSignal }) => Promise<unknown>,
  ): Promise<boolean> {
    const { sdk, clients } = await this.#load();
    const resource = `arn:aws:autoscaling:${region ?? '*'}:*:autoScalingGroup:*:autoScalingGroupName/${group}`;
    try {
      await callAws({ action, resource }, options => send(sdk, clients.in(region), options));
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

/** `ValidationError`: `No active Lifecycle Action found with instance ID i-…`, or `with token …`. */
function isGone(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.code === 'rejected' &&
    /No active Lifecycle Action found/i.test(describe(error))
  );
}
