import type { LifecycleAction } from '../domain/event.ts';
import type { JobRecord } from './record.ts';

/** The lifecycle actions that the job has still to deal with; one may be announced while it completes another. */
export function pendingActions({ lifecycles, facts }: JobRecord): LifecycleAction[] {
  const completed = new Set(facts.completed);
  return lifecycles.filter(action => !completed.has(actionKey(action)));
}

export function actionKey({ group, hook, token = '', region = '' }: LifecycleAction): string {
  return [region, group, hook, token].join('/');
}
