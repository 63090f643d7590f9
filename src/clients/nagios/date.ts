/** `date_format` of nagios.cfg. Source: Nagios Core manual, Main Configuration File Options. */
export type NagiosDateFormat = 'us' | 'euro' | 'iso8601' | 'strict-iso8601';

export const NAGIOS_DATE_FORMATS: readonly NagiosDateFormat[] = ['us', 'euro', 'iso8601', 'strict-iso8601'];

const MINUTE = 60_000;
/** Offsets of zones lie within -12 and +14 hours. */
const DAY = 24 * 60 * MINUTE;

/** A time as the CGIs of a Nagios in this zone read it; seconds are the smallest unit. */
export function formatNagiosDate(at: Date, format: NagiosDateFormat, timezone: string): string {
  const { year, month, day, time } = wallClock(at, timezone);
  switch (format) {
    case 'us':
      return `${month}-${day}-${year} ${time}`;
    case 'euro':
      return `${day}-${month}-${year} ${time}`;
    case 'iso8601':
      return `${year}-${month}-${day} ${time}`;
    case 'strict-iso8601':
      return `${year}-${month}-${day}T${time}`;
  }
}

/**
 * Every instant that such a text can mean: two in the hour that a zone repeats when summer time ends, none in the one
 * that it skips, else one; none where the text is not in the format. Both ISO formats read each other, as Nagios does.
 */
export function readNagiosDate(text: string, format: NagiosDateFormat, timezone: string): Date[] {
  const wall = readWallClock(text, format);
  if (wall === undefined) return [];
  const offsets = new Set([-DAY, 0, DAY].map(shift => offsetAt(new Date(wall + shift), timezone)));
  return [...offsets]
    .map(offset => new Date(wall - offset))
    .filter(at => at.getTime() + offsetAt(at, timezone) === wall)
    .sort((a, b) => a.getTime() - b.getTime());
}

/** The text as if it were in UTC, in milliseconds since the epoch; undefined where it is not in the format. */
export function readWallClock(text: string, format: NagiosDateFormat): number | undefined {
  const iso = format === 'iso8601' || format === 'strict-iso8601';
  const date = iso ? /^(\d{4})-(\d\d)-(\d\d)[ T]/ : /^(\d\d)-(\d\d)-(\d{4}) /;
  const [head = '', one, two, three] = date.exec(text) ?? [];
  const time = text.slice(head.length);
  if (!head || !/^\d\d:\d\d:\d\d$/.test(time)) return undefined;
  const [year, month, day] = iso
    ? [one, two, three]
    : format === 'us'
      ? [three, one, two]
      : [three, two, one];
  const wall = Date.parse(`${year}-${month}-${day}T${time}Z`);
  // Date.parse reads February 30 as March 2.
  return new Date(wall || Number.NaN).getUTCDate() === Number(day) ? wall : undefined;
}

/**
 * The nearest time not after (step -1) or not before (step 1) the given one whose text has one meaning only. Nagios reads
 * a repeated hour in either way, so that a downtime that starts or ends in it could be an hour short.
 */
export function unambiguous(at: Date, step: -1 | 1, format: NagiosDateFormat, timezone: string): Date {
  for (let moved = at; ; moved = new Date(moved.getTime() + step * 15 * MINUTE)) {
    if (readNagiosDate(formatNagiosDate(moved, format, timezone), format, timezone).length === 1)
      return moved;
  }
}

/** How far the zone's clocks are ahead of UTC at that time, in milliseconds. */
function offsetAt(at: Date, timezone: string): number {
  const { year, month, day, time } = wallClock(at, timezone);
  return Date.parse(`${year}-${month}-${day}T${time}Z`) - Math.floor(at.getTime() / 1000) * 1000;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

function wallClock(at: Date, timeZone: string): { year: string; month: string; day: string; time: string } {
  let clock = clocks.get(timeZone);
  if (!clock) {
    clock = new Intl.DateTimeFormat('sv-SE', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      dateStyle: 'short',
      timeStyle: 'medium',
    });
    clocks.set(timeZone, clock);
  }
  const [date = '', time = ''] = clock.format(at).split(' ');
  const [year = '', month = '', day = ''] = date.split('-');
  return { year, month, day, time };
}
