import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { saidAt } from '../../../src/domain/said-at.ts';
import { autoScaling, lifecycleHook, registration, sample } from '../../fixtures/samples.ts';

const published = new Date('2026-03-02T11:00:00.000Z');
const iso = (message: unknown) => saidAt(message, published).toISOString();

describe('the time at which a message says that it happened', () => {
  test.each([
    ['EventBridge: time', sample('events/eb-ec2-state-change-terminated'), '2026-03-02T10:15:42.000Z'],
    ['Auto Scaling: EndTime', autoScaling('EC2_INSTANCE_TERMINATE'), '2026-03-02T10:15:42.120Z'],
    [
      'Auto Scaling: Time, if EndTime cannot be read',
      autoScaling('EC2_INSTANCE_TERMINATE', { EndTime: 'soon', Time: '2026-03-02T10:16:00.000Z' }),
      '2026-03-02T10:16:00.000Z',
    ],
    [
      'Auto Scaling: Time, if there is no EndTime',
      autoScaling('EC2_INSTANCE_TERMINATE', { EndTime: undefined, Time: '2026-03-02T10:16:00Z' }),
      '2026-03-02T10:16:00.000Z',
    ],
    ['a lifecycle hook: Time', lifecycleHook({}), '2026-03-02T10:14:44.397Z'],
    [
      'a host: the time that it signed',
      registration({ signature: { time: '2026-03-02T10:20:00Z' } }),
      '2026-03-02T10:20:00.000Z',
    ],
    [
      'a host’s ensure: the end of the second that it signed',
      registration({ method: 'ensure', signature: { time: '2026-03-02T10:20:00Z' } }),
      '2026-03-02T10:20:00.999Z',
    ],
    ['with an offset', { 'detail-type': 'x', time: '2026-03-02T11:15:42+01:00' }, '2026-03-02T10:15:42.000Z'],
  ])('%s', (_, message, expected) => expect(iso(message)).toBe(expected));

  test('a host’s ensure that was published in the second that it signed: the publication', () => {
    const early = new Date('2026-03-02T10:20:00.300Z');
    const message = registration({ method: 'ensure', signature: { time: '2026-03-02T10:20:00Z' } });
    expect(saidAt(message, early)).toEqual(early);
  });
});

describe('the time of publication, if the message has no readable time', () => {
  test.each([
    ['no object', 'text'],
    ['nothing', undefined],
    ['no time', { 'detail-type': 'x' }],
    ['a number', { 'detail-type': 'x', time: 1_772_446_542_000 }],
    ['no time zone', { 'detail-type': 'x', time: '2026-03-02T10:15:42' }],
    ['a day', { 'detail-type': 'x', time: '2026-03-02' }],
    ['a day that does not exist', { 'detail-type': 'x', time: '2026-13-42T10:15:42Z' }],
    [
      'a host that signed nothing',
      registration({ time: '2026-03-02T10:20:00Z', Time: '2026-03-02T10:20:00Z' }),
    ],
    ['a time of another form’s field', { 'detail-type': 'x', Time: '2026-03-02T10:20:00Z' }],
    ['a time after the publication', { 'detail-type': 'x', time: '2026-03-02T11:00:01Z' }],
    ['a time before any message that is on its way', { 'detail-type': 'x', time: '2026-02-16T10:59:59Z' }],
  ])('%s', (_, message) => expect(saidAt(message, published)).toEqual(published));
});

test('no message is said later than it was published, and none at no time', () => {
  const time = fc.oneof(
    fc.jsonValue(),
    fc.date().map(date => (Number.isNaN(date.getTime()) ? 'x' : date.toISOString())),
  );
  const fields = fc.record(
    {
      type: fc.constantFrom('registration', 'other'),
      'detail-type': fc.constant('x'),
      ...{ time, Time: time, EndTime: time },
      signature: fc.oneof(fc.jsonValue(), fc.record({ time })),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      fc.oneof(fields, fc.jsonValue()),
      fc.date({ noInvalidDate: true }),
      (message, publishedAt) => {
        const said = saidAt(message, publishedAt);
        expect(said.getTime()).toBeLessThanOrEqual(publishedAt.getTime());
      },
    ),
    { numRuns: 2_000 },
  );
});

test('a readable time of the 14 days before the publication is the time that counts', () => {
  const date = fc.date({ noInvalidDate: true, min: new Date('2000-01-01'), max: new Date('2100-01-01') });
  const before = fc.integer({ min: 1, max: 14 * 24 * 3_600_000 });
  fc.assert(
    fc.property(date, before, (publishedAt, milliseconds) => {
      const said = new Date(publishedAt.getTime() - milliseconds);
      expect(saidAt({ Time: said.toISOString() }, publishedAt)).toEqual(said);
    }),
  );
});
