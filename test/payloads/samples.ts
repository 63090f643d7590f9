import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Fields = Record<string, unknown>;

/** A sample of AWS or of the predecessor: `sample('events/asg-notification-test')`. */
export function sample(name: string): Fields {
  return JSON.parse(readFileSync(join(import.meta.dirname, `${name}.json`), 'utf8'));
}

/** The instance of every sample that names one. */
export const INSTANCE = 'i-0a1b2c3d4e5f60718';

/** A notification of Auto Scaling as the sample has it, but for these fields. */
export function autoScaling(event: string, changes: Fields = {}): Fields {
  return { ...sample('events/asg-notification-terminate'), Event: `autoscaling:${event}`, ...changes };
}

/** A lifecycle hook's notice as the sample has it, but for these fields; undefined leaves one out. */
export function lifecycleHook(changes: Fields): Fields {
  return { ...sample('events/asg-lifecycle-hook-terminating'), ...changes };
}

/** An event of EventBridge around a detail. */
export function eventBridge(source: string, detailType: string, detail: unknown): Fields {
  return { ...sample('events/eb-ec2-rebalance-recommendation'), source, 'detail-type': detailType, detail };
}

/** The predecessor's message as the sample has it, but for these fields. */
export function registration(changes: Fields): Fields {
  return { ...sample('original/registration-deregister-with-instance-id'), ...changes };
}
