import { AppError } from '../../domain/errors.ts';
import { isObject } from '../../domain/json.ts';

interface Downtime {
  id: number;
  type: 'host' | 'service';
  host: string;
  /** Its description, for type `service`. */
  service?: string;
  start: Date;
  end: Date;
  comment: string;
}

export interface DowntimeList {
  /** When the daemon wrote what is shown, by the clock of the Nagios host; it does so every `status_update_interval`. */
  lastUpdate: Date;
  /** When it was asked, by the same clock. */
  queryTime: Date;
  downtimes: Downtime[];
}

/**
 * The answer to `statusjson.cgi?query=downtimelist&details=true`; entries it does not understand are left out.
 * Source: cgi/statusjson.c of Nagios Core 4.4 (times in milliseconds, type 1 a service's and 2 a host's).
 * @throws AppError `rejected` if it is not such an answer
 */
export function readDowntimeList(json: Record<string, unknown>): DowntimeList {
  const data = checkedData(json, 'downtimelist');
  const listed = isObject(data['downtimelist']) ? data['downtimelist'] : {};
  return {
    ...readTimes(json),
    downtimes: Object.entries(listed).flatMap(([id, entry]) => {
      const downtime = isObject(entry) && readDowntime(Number(id), entry);
      return downtime ? [downtime] : [];
    }),
  };
}

function readDowntime(id: number, entry: Record<string, unknown>): Downtime | undefined {
  const { type, host_name, service_description, start_time, end_time, comment } = entry;
  if (typeof host_name !== 'string' || (type !== 1 && type !== 2)) return undefined;
  return {
    id,
    type: type === 2 ? 'host' : 'service',
    host: host_name,
    ...(typeof service_description === 'string' ? { service: service_description } : {}),
    start: new Date(Number(start_time)),
    end: new Date(Number(end_time)),
    comment: typeof comment === 'string' ? comment : '',
  };
}

/** The two times of `result`, by the clock of the Nagios host; a time that is missing reads as 1970. */
export function readTimes(json: Record<string, unknown>): { lastUpdate: Date; queryTime: Date } {
  const result = isObject(json['result']) ? json['result'] : {};
  return {
    lastUpdate: new Date(Number(result['last_data_update'] ?? 0)),
    queryTime: new Date(Number(result['query_time'] ?? 0)),
  };
}

/** @throws AppError `rejected` where `result` says anything but success, with its message */
export function checkedData(json: Record<string, unknown>, query: string): Record<string, unknown> {
  const result = isObject(json['result']) ? json['result'] : {};
  if (result['type_code'] !== 0 || !isObject(json['data'])) {
    throw new AppError(
      'rejected',
      `Nagios did not answer the query ${query}: ${String(result['message'] || result['type_text'] || 'no reason given')}`,
    );
  }
  return json['data'];
}
