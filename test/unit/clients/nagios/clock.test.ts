import { describe, expect, test } from 'vitest';
import { clockMistake } from '../../../../src/clients/nagios/clock.ts';
import { formatNagiosDate, NAGIOS_DATE_FORMATS } from '../../../../src/clients/nagios/date.ts';

const now = new Date('2025-01-02T10:20:30Z');

describe('the settings for dates, seen from the time that Nagios shows', () => {
  test('are right in every format and zone that the server has too', () => {
    for (const dateFormat of NAGIOS_DATE_FORMATS) {
      for (const timezone of ['UTC', 'Pacific/Auckland', 'America/New_York']) {
        const shown = formatNagiosDate(new Date(now.getTime() - 90_000), dateFormat, timezone);
        expect(clockMistake(shown, now, { dateFormat, timezone })).toBeUndefined();
      }
    }
  });

  test('tell January 2 from February 1 by knowing today', () => {
    expect(clockMistake('02-01-2025 10:20:30', now, { dateFormat: 'us', timezone: 'UTC' })).toBe(
      'Nagios shows "02-01-2025 10:20:30" as the time now: change NAGIOS_DATE_FORMAT from us to euro',
    );
  });

  test('blame the zone alone where the format fits, and name its distance from UTC', () => {
    expect(clockMistake('01-02-2025 23:20:31', now, { dateFormat: 'us', timezone: 'Europe/Berlin' })).toBe(
      'Nagios shows "01-02-2025 23:20:31" as the time now: change NAGIOS_TIMEZONE from Europe/Berlin to the zone of the Nagios host, which is at UTC+13:00 now',
    );
  });

  test('name both where both are wrong', () => {
    const mistake = clockMistake('2025-01-02 05:20:30', now, { dateFormat: 'euro', timezone: 'UTC' });
    expect(mistake).toContain('NAGIOS_DATE_FORMAT from euro to iso8601 and NAGIOS_TIMEZONE from UTC');
    expect(mistake).toContain('UTC-05:00');
  });

  test('take either ISO format, as Nagios reads both', () => {
    const settings = { dateFormat: 'strict-iso8601', timezone: 'UTC' } as const;
    expect(clockMistake('2025-01-02 10:20:30', now, settings)).toBeUndefined();
  });

  test('blame the clock where no setting explains the time, and the format where it is none of ours', () => {
    const settings = { dateFormat: 'us', timezone: 'UTC' } as const;
    expect(clockMistake('01-09-2025 10:20:30', now, settings)).toContain('set the clock');
    expect(clockMistake('2. Januar 2025', now, settings)).toContain('date_format in nagios.cfg');
  });
});
