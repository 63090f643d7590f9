import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { AppError } from '../../../src/domain/errors.ts';
import { Outages } from '../../../src/jobs/outages.ts';
import { until } from '../../support/process.ts';

const log = pino({ level: 'silent' });
let outages: Outages;

afterEach(() => outages.close());

const incomplete = {
  name: 'nagios',
  probe: () => Promise.reject(new AppError('unsupported', 'it has no statusjson.cgi')),
};

test('a service that lacks a part is not an outage, whatever a job met', async () => {
  outages = new Outages([incomplete], log);
  for (const code of ['unsupported', 'rejected', 'unavailable'] as const) {
    expect(await outages.explains(new AppError(code, 'met by a job'))).toBe(false);
  }
});

test('the outage of one service ends although another one lacks a part', async () => {
  let isAway = true;
  const away = {
    name: 'chef',
    probe: async () => {
      if (isAway) throw new AppError('unavailable', 'away');
    },
  };
  const resumed: string[] = [];
  outages = new Outages([incomplete, away], log, undefined, part => resumed.push(part));
  expect(await outages.explains(new AppError('unavailable', 'met by a job'))).toBe(true);
  isAway = false;
  await until('the outage to end', () => resumed.length > 0);
  expect(resumed).toEqual(['chef']);
  expect(await outages.explains(new AppError('rejected', 'met by a job'))).toBe(false);
});
