import {
  AutoScalingClient as AutoScalingApi,
  CompleteLifecycleActionCommand,
  RecordLifecycleActionHeartbeatCommand,
} from '@aws-sdk/client-auto-scaling';
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

export type LifecycleResult = 'CONTINUE' | 'ABANDON';

/** Amazon EC2 Auto Scaling, as far as the service calls it. */
export class AutoScalingClient {
  readonly #clients: ByRegion<AutoScalingApi>;

  constructor(options: AwsOptions) {
    this.#clients = new ByRegion(
      region => new AutoScalingApi(clientConfig({ ...options, region: region ?? options.region })),
    );
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
    const command = new CompleteLifecycleActionCommand({
      ...parameters(instance),
      LifecycleActionResult: result,
    });
    const waited = await this.#call('autoscaling:CompleteLifecycleAction', instance, (client, options) =>
      client.send(command, options),
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
    const command = new RecordLifecycleActionHeartbeatCommand(parameters(instance));
    const waited = await this.#call(
      'autoscaling:RecordLifecycleActionHeartbeat',
      instance,
      (client, options) => client.send(command, options),
    );
    return waited ? 'recorded' : 'gone';
  }

  close(): void {
    this.#clients.close();
  }

  /** @returns false where Auto Scaling knows of no such action */
  async #call(
    action: string,
    { group, region }: WaitingInstance,
    send: (client: AutoScalingApi, options: { abortSignal: AbortSignal }) => Promise<unknown>,
  ): Promise<boolean> {
    const client = this.#clients.in(region);
    const resource = `arn:aws:autoscaling:${region ?? '*'}:*:autoScalingGroup:*:autoScalingGroupName/${group}`;
    try {
      await callAws({ action, resource }, options => send(client, options));
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
