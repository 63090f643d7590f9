import { isObject } from './json.ts';

/** ISO 8601 with a time zone, as AWS and the host's script write it. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$/;

/**
 * SQS keeps no message longer, so that one with an older time was not on its way: somebody replays it, from an archive of
 * EventBridge for example, and says it now.
 */
const LONGEST_WAY_MS = 14 * 24 * 3_600_000;

/**
 * When a message says that it happened, by which events are put in order: EventBridge's `time`, `EndTime` or else `Time` of
 * Auto Scaling, or the time that a host signed. Nobody can say a thing later than it was published.
 * @param message as it was parsed from JSON
 * @returns `publishedAt` for a message that has no readable time, or one that cannot be right: later than that, or older
 * than any message on its way
 */
export function saidAt(message: unknown, publishedAt: Date): Date {
  const said = timesOf(message)
    .map(time => (typeof time === 'string' && TIME.test(time) ? Date.parse(time) : Number.NaN))
    .find(time => !Number.isNaN(time));
  const published = publishedAt.getTime();
  const isRight = said !== undefined && said < published && said >= published - LONGEST_WAY_MS;
  if (!isRight) return publishedAt;
  return new Date(isEnsure(message) ? Math.min(endOfSecond(said), published) : said);
}

function isEnsure(message: unknown): boolean {
  return isObject(message) && message['method'] === 'ensure';
}

/**
 * Hosts sign whole seconds. An `ensure` counts from the end of its second, so that it is not taken for earlier than a deletion
 * that was said before it in the same second: the node is kept.
 */
function endOfSecond(ms: number): number {
  return ms % 1000 === 0 ? ms + 999 : ms;
}

/** Those that count first come first. */
function timesOf(message: unknown): unknown[] {
  if (!isObject(message)) return [];
  if (message['type'] === 'registration') {
    return isObject(message['signature']) ? [message['signature']['time']] : [];
  }
  if ('detail-type' in message) return [message['time']];
  return [message['EndTime'], message['Time']];
}
