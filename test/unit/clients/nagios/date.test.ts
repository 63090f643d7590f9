import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatNagiosDate,
  NAGIOS_DATE_FORMATS,
  readNagiosDate,
  unambiguous,
} from '../../../../src/clients/nagios/date.ts';

const zones = ['UTC', 'Pacific/Auckland', 'Asia/Kathmandu', 'America/New_York', 'Australia/Lord_Howe'];
const anyZone = fc.constantFrom(...zones);
const anyFormat = fc.constantFrom(...NAGIOS_DATE_FORMATS);
const anyTime = fc.date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true });

describe('dates as Nagios reads them', () => {
  test.each([
    ['us', '03-09-2031 00:05:07'],
    ['euro', '09-03-2031 00:05:07'],
    ['iso8601', '2031-03-09 00:05:07'],
    ['strict-iso8601', '2031-03-09T00:05:07'],
  ] as const)('are written in %s as %s', (format, text) => {
    expect(formatNagiosDate(new Date('2031-03-08T11:05:07.900Z'), format, 'Pacific/Auckland')).toBe(text);
  });

  test('mean, among their meanings, the time they were made from, in every format and zone', () => {
    fc.assert(
      fc.property(anyTime, anyFormat, anyZone, (at, format, zone) => {
        const meanings = readNagiosDate(formatNagiosDate(at, format, zone), format, zone);
        expect(meanings.map(Number)).toContain(Math.floor(at.getTime() / 1000) * 1000);
        expect(meanings.length).toBeLessThanOrEqual(2);
      }),
    );
  });

  test('in the hour that is repeated have two meanings, in the one that is skipped none', () => {
    const read = (text: string) =>
      readNagiosDate(text, 'iso8601', 'Europe/Berlin').map(at => at.toISOString());
    expect(read('2025-10-26 02:30:00')).toEqual(['2025-10-26T00:30:00.000Z', '2025-10-26T01:30:00.000Z']);
    expect(read('2025-03-30 02:30:00')).toEqual([]);
    expect(read('2025-03-30 03:30:00')).toEqual(['2025-03-30T01:30:00.000Z']);
  });

  test('are widened past a repeated hour, never narrowed, so that they have one meaning', () => {
    fc.assert(
      fc.property(
        fc.date({
          min: new Date('2025-10-25T22:00:00Z'),
          max: new Date('2025-10-26T04:00:00Z'),
          noInvalidDate: true,
        }),
        anyFormat,
        (at, format) => {
          for (const step of [-1, 1] as const) {
            const moved = unambiguous(at, step, format, 'Europe/Berlin');
            expect(
              readNagiosDate(formatNagiosDate(moved, format, 'Europe/Berlin'), format, 'Europe/Berlin'),
            ).toHaveLength(1);
            expect((moved.getTime() - at.getTime()) * step).toBeGreaterThanOrEqual(0);
          }
        },
      ),
    );
  });

  test('that do not exist or stand in another format are not read', () => {
    for (const text of [
      '02-30-2025 10:00:00',
      '13-01-2025 10:00:00',
      '2025-01-02 10:00:00',
      '01-02-2025',
      '',
    ]) {
      expect(readNagiosDate(text, 'us', 'UTC')).toEqual([]);
    }
  });
});
