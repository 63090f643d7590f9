import { createHash, randomUUIDv7 } from 'node:crypto';
import type { Event, News } from '../event.ts';
import type { JobKind, JobState } from '../job.ts';
import type { JobError } from './record.ts';

/** What accept.lua is told of one event: what decides whether it is a new job, and the record it then gets. */
export interface Arrival {
  /** JSON. */
  head: string;
  /** Field, value, … */
  record: string[];
}

export function arrivalOf(news: News, kind: JobKind): Arrival {
  const { event, quarantine } = news;
  const instanceId = event.instanceId;
  const node = 'node' in event ? event.node : undefined;
  const lifecycle = 'lifecycle' in event ? JSON.stringify(event.lifecycle) : undefined;
  const head = {
    id: randomUUIDv7(),
    kind,
    identity: quarantine ? `message:${news.messageId}` : identityOf(news, kind),
    doubted: quarantine ? identityOf(news, kind) : undefined,
    publishedAt: news.publishedAt.getTime(),
    receivedAt: new Date().toISOString(),
    state: (quarantine ? 'held' : 'queued') satisfies JobState,
    keys: [...(instanceId ? [`i:${instanceId}`] : []), ...(node ? [`n:${node}`] : [])],
    node,
    instanceId,
    lifecycle,
    ...(news.source === 'api' && { request: { id: news.messageId, body: digest(event) } }),
  };
  const record = fields({
    source: news.source,
    event: JSON.stringify(event),
    node,
    instanceId,
    lifecycle,
    requestedBy: news.requestedBy,
    trace: news.trace,
    error: quarantine && JSON.stringify({ code: 'untrusted', message: quarantine } satisfies JobError),
  });
  return { head: JSON.stringify(head), record };
}

/** A death is one, whoever tells of it. */
function identityOf({ event, messageId }: News, kind: JobKind): string {
  return kind !== 'ensure' && event.instanceId ? `${kind}:${event.instanceId}` : `message:${messageId}`;
}

/** The same for the same event, in whatever order its fields were given. */
function digest(event: Event): string {
  return createHash('sha256')
    .update(JSON.stringify(event, Object.keys(event).sort()))
    .digest('base64');
}

/** As HSET takes them. */
export function fields(values: Record<string, string | undefined>): string[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
}
