import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { type Probes, watchHealth } from '../../../../src/api/routes/health.ts';
import { AppError } from '../../../../src/domain/errors.ts';

const AWAY = new AppError('unavailable', 'Chef server GET https://chef.internal/nodes: connect ECONNREFUSED');

function watch(probes: Probes) {
  const lines: { level: number; part?: string; err?: string; msg: string }[] = [];
  const log = pino({ level: 'info' }, { write: line => void lines.push(JSON.parse(line)) });
  return { health: watchHealth(probes, log), lines };
}

test('the log has one line with the details when a part cannot be used, and one when it can be again', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const chef = vi.fn(async () => {});
  const { health, lines } = watch({ chef: { check: chef, vital: false } });
  const look = async () => {
    vi.advanceTimersByTime(2_001);
    return (await health()).parts['chef'];
  };
  chef.mockRejectedValue(AWAY);
  expect([await look(), await look(), await look()]).toEqual(Array(3).fill('unreachable: the log says why'));
  chef.mockResolvedValue();
  expect([await look(), await look()]).toEqual(['ok', 'ok']);
  expect(lines).toMatchObject([
    { part: 'chef', err: AWAY.message, msg: 'cannot be used; its jobs wait' },
    { part: 'chef', msg: 'can be used again' },
  ]);
  vi.useRealTimers();
});

test('only a part without which no event can be taken makes it not ready', async () => {
  const away = () => Promise.reject(AWAY);
  const fine = async () => {};
  const optional = watch({ redis: { check: fine, vital: true }, chef: { check: away, vital: false } });
  expect((await optional.health()).ready).toBe(true);
  const vital = watch({ redis: { check: away, vital: true }, chef: { check: fine, vital: false } });
  expect((await vital.health()).ready).toBe(false);
});

test('a check that hangs is reported as no answer, and not started a second time', async () => {
  const check = vi.fn(() => new Promise<void>(() => {}));
  const { health } = watch({ archive: { check, vital: false } });
  expect((await health()).parts).toEqual({ archive: 'unreachable: no answer within 3000 ms' });
  expect((await health()).parts).toEqual({ archive: 'unreachable: no answer within 3000 ms' });
  expect(check).toHaveBeenCalledTimes(1);
});

test('a part whose check logs by itself is not logged here', async () => {
  const { health, lines } = watch({
    redis: { check: () => Promise.reject(AWAY), vital: true, logged: true },
  });
  await health();
  expect(lines).toEqual([]);
});
