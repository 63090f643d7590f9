import { isFields } from './json.ts';

/** ISO 8601 with a time zone, as AWS and the host's script write it. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$/;

/**
 * When a message says that it happened, by which events are put in order: EventBridge's `time`, `EndTime` or else `Time` of
 * Auto Scaling, or the time that a host signed. Nobody can say a thing later than it was published.
 * @param message as it was parsed from JSON
 * @returns `publishedAt` for a message that has no readable time, or a later one
 */
export function saidAt(message: unknown, publishedAt: Date): Date {
  const said = timesOf(message)
    .map(time => (typeof time === 'string' && TIME.test(time) ? Date.parse(time) : Number.NaN))
    .find(time => !Number.isNaN(time));
  return said !== undefined && said < publishedAt.getTime() ? new Date(said) : publishedAt;
}

/** Those that count first come first. */
function timesOf(message: unknown): unknown[] {
  if (!isFields(message)) return [];
  if (message['type'] === 'registration') {
    return isFields(message['signature']) ? [message['signature']['time']] : [];
  }
  if ('detail-type' in message) return [message['time']];
  return [message['EndTime'], message['Time']];
}
