import { NAGIOS_DATE_FORMATS, type NagiosDateFormat, readNagiosDate, readWallClock } from './date.ts';

const MINUTE = 60_000;
/** Between Nagios writing the page and the clock it is compared with. */
const TOLERANCE = 5 * MINUTE;

export interface NagiosClock {
  dateFormat: NagiosDateFormat;
  timezone: string;
}

/**
 * What is wrong with the settings, seen from the time that Nagios's own form offers as "now"; undefined where they fit or
 * if that is not clear. The fewest changes that explain the text win: a day like 03-03 reads alike in `us` and `euro`.
 */
export function clockMistake(
  offered: string,
  now: Date,
  { dateFormat, timezone }: NagiosClock,
): string | undefined {
  const isNow = (format: NagiosDateFormat) =>
    readNagiosDate(offered, format, timezone).some(at => Math.abs(at.getTime() - now.getTime()) <= TOLERANCE);
  if (isNow(dateFormat)) return undefined;
  const formatChange = (format: NagiosDateFormat) => `NAGIOS_DATE_FORMAT from ${dateFormat} to ${format}`;
  const shows = `Nagios shows ${JSON.stringify(offered)} as the time now`;

  const format = NAGIOS_DATE_FORMATS.find(isNow);
  if (format) return `${shows}: change ${formatChange(format)}`;

  for (const candidate of [dateFormat, ...NAGIOS_DATE_FORMATS]) {
    const offset = offsetShown(offered, candidate, now);
    if (offset === undefined) continue;
    const zone = `NAGIOS_TIMEZONE from ${timezone} to the zone of the Nagios host, which is at ${offsetName(offset)}`;
    return `${shows}: change ${candidate === dateFormat ? '' : `${formatChange(candidate)} and `}${zone}`;
  }
  if (readWallClock(offered, dateFormat) === undefined) {
    const readable = NAGIOS_DATE_FORMATS.find(candidate => readWallClock(offered, candidate) !== undefined);
    return `${shows}: ${readable ? `change ${formatChange(readable)}` : `set date_format in nagios.cfg to one of ${NAGIOS_DATE_FORMATS.join(', ')}`}`;
  }
  return `${shows}, which is ${now.toISOString()} here: set the clock of the Nagios host or of this one`;
}

/** The distance from UTC that makes the text mean now, where some zone has it; zones differ by quarters of an hour. */
function offsetShown(offered: string, format: NagiosDateFormat, now: Date): number | undefined {
  const wall = readWallClock(offered, format);
  if (wall === undefined) return undefined;
  const ahead = wall - now.getTime();
  const offset = Math.round(ahead / (15 * MINUTE)) * 15 * MINUTE;
  const possible = offset >= -12 * 60 * MINUTE && offset <= 14 * 60 * MINUTE;
  return possible && Math.abs(ahead - offset) <= TOLERANCE ? offset : undefined;
}

function offsetName(offset: number): string {
  const minutes = Math.abs(offset) / MINUTE;
  const two = (n: number) => String(n).padStart(2, '0');
  return `UTC${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)} now`;
}
