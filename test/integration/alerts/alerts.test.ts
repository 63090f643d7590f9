import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Alerts } from '../../../src/alerts/alerts.ts';
import type { AlertChannel } from '../../../src/alerts/channel.ts';
import type { OutboxOptions } from '../../../src/alerts/delivery-queue.ts';
import { type Alert, alert } from '../../../src/domain/alert.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { until } from '../../support/process.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

let server: RedisServer;
let connections: Redis[] = [];
let opened: Alerts[] = [];
let lines: string[];
let prefixes = 0;
let prefix: string;

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(() => {
  prefix = `{alerts-${++prefixes}}`;
  lines = [];
});
afterEach(async () => {
  await Promise.all(opened.map(alerts => alerts.close()));
  for (const redis of connections) redis.disconnect();
  opened = [];
  connections = [];
});
afterAll(() => server?.stop());

/** A channel of this test: takes alerts, or fails as long as `failing` says. */
function channel(failing: () => Error | undefined = () => undefined): AlertChannel & { got: Alert[] } {
  const got: Alert[] = [];
  return {
    name: 'test',
    got,
    async send(sent) {
      const error = failing();
      if (error) throw error;
      got.push(sent);
    },
    close: async () => {},
  };
}

/** The alerts of one process. */
function open(channels: AlertChannel[], options?: OutboxOptions): Alerts {
  const redis = new Redis(server.url, { commandTimeout: 1_000, maxRetriesPerRequest: 1 });
  redis.on('error', () => {});
  connections.push(redis);
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const alerts = new Alerts({ redis, prefix, channels, log }, options);
  opened.push(alerts);
  return alerts;
}

const held = (node: string) => alert('job-held', 'it lives', { node, job: 'j1' });

describe('an alert', () => {
  test('reaches the log and every channel', async () => {
    const channels = [channel(), channel()];
    open(channels).raise(held('web-1'));
    for (const { got } of channels) await until('the alert', () => got.length === 1);
    expect(channels[0]?.got).toEqual([expect.objectContaining({ name: 'job-held', node: 'web-1' })]);
    expect(lines.map(line => JSON.parse(line))).toEqual([
      expect.objectContaining({ msg: 'alert: warning job-held: node web-1', level: 40 }),
    ]);
  });

  test('that repeats is reported once among all processes, another node’s is told, too', async () => {
    const to = channel();
    const processes = [open([to]), open([to])];
    for (const alerts of processes) for (let n = 0; n < 5; n++) alerts.raise(held('web-1'));
    processes[0]?.raise(held('web-2'));
    await until('all to be counted', () => {
      const counts = processes.map(alerts => alerts.counts());
      return counts.reduce((sum, { raised, folded }) => sum + raised + folded, 0) === 11;
    });
    await until('both to be told', () => to.got.length === 2);
    expect(to.got.map(({ node }) => node).sort()).toEqual(['web-1', 'web-2']);
  });

  test('says how often it was folded once it is sent again', async () => {
    const to = channel();
    const alerts = open([to]);
    for (let n = 0; n < 4; n++) alerts.raise(held('web-1'));
    await until('three to be folded', () => alerts.counts().folded === 3);
    await connections[0]?.del(`${prefix}:alert:job-held:web-1`);
    alerts.raise(held('web-1'));
    await until('the second', () => to.got.length === 2);
    expect(to.got[1]?.whatHappened).toBe('it lives (and 3 times more since it was last sent)');
  });

  test('goes out while Redis is away, and is folded in memory', async () => {
    const to = channel();
    const alerts = open([to]);
    await connections[0]?.ping();
    await server.stop('SIGKILL');
    try {
      for (let n = 0; n < 3; n++) alerts.raise(alert('redis-away', 'connection refused'));
      await until('two to be folded', () => alerts.counts().folded === 2);
      await until('the alert', () => to.got.length === 1);
    } finally {
      await server.restart();
    }
  });
});

describe('a channel that is down', () => {
  test('blocks nobody, is tried again, and counted', async () => {
    let failures = 2;
    const to = channel(() => (failures-- > 0 ? new AppError('unavailable', 'away') : undefined));
    const alerts = open([to], { longestWaitMs: 10 });
    alerts.raise(held('web-1'));
    expect(to.got).toEqual([]);
    await until('the alert', () => to.got.length === 1);
    expect(alerts.counts().channels['test']).toEqual({ sent: 1, retried: 2, givenUp: 0, waiting: 0 });
  });

  test('for good loses the alert to the log, whole, and takes the next', async () => {
    let down = true;
    const to = channel(() => (down ? new AppError('unavailable', 'away') : undefined));
    const alerts = open([to], { attempts: 3, longestWaitMs: 5 });
    alerts.raise(held('web-1'));
    await until('it to be given up', () => alerts.counts().channels['test']?.givenUp === 1);
    const line = lines.map(each => JSON.parse(each)).find(each => each.msg.includes('given up'));
    expect(line.alert).toMatchObject({ node: 'web-1', whatHappened: 'it lives' });
    down = false;
    alerts.raise(held('web-2'));
    await until('the next', () => to.got.length === 1);
  });

  test('that refuses for good is not asked again', async () => {
    const to = channel(() => new AppError('rejected', 'answered 404'));
    const alerts = open([to]);
    alerts.raise(held('web-1'));
    await until('it to be given up', () => alerts.counts().channels['test']?.givenUp === 1);
    expect(alerts.counts().channels['test']?.retried).toBe(0);
  });

  test('keeps a bounded number waiting, the newest', async () => {
    let down = true;
    const to = channel(() => (down ? new AppError('unavailable', 'away') : undefined));
    const alerts = open([to], { capacity: 2, longestWaitMs: 10, attempts: 1_000_000 });
    for (const node of ['a', 'b', 'c', 'd', 'e']) {
      alerts.raise(held(node));
      await until('it to be raised', () => lines.some(line => line.includes(`job-held: node ${node}`)));
    }
    down = false;
    await until('those that wait', () => to.got.length === 3);
    expect(to.got.map(({ node }) => node)).toEqual(['a', 'd', 'e']);
    expect(alerts.counts().channels['test']?.givenUp).toBe(2);
  });

  test('when the service stops gets one attempt more, and no further', async () => {
    const to = channel(() => new AppError('unavailable', 'away'));
    const alerts = open([to], { longestWaitMs: 3_600_000 });
    alerts.raise(held('web-1'));
    await until('the first attempt', () => alerts.counts().channels['test']?.retried === 1);
    await alerts.close();
    expect(alerts.counts().channels['test']).toEqual({ sent: 0, retried: 1, givenUp: 1, waiting: 0 });
  });

  test('does not keep the service from stopping, and gets what waits once more', async () => {
    let down = true;
    const to = channel(() => (down ? new AppError('unavailable', 'away') : undefined));
    const alerts = open([to], { longestWaitMs: 3_600_000 });
    for (const node of ['a', 'b']) alerts.raise(held(node));
    await until('the first attempt', () => alerts.counts().channels['test']?.retried === 1);
    await until('both to be raised', () => alerts.counts().raised === 2);
    down = false;
    const closed = alerts.close().then(() => 'closed');
    expect(await Promise.race([closed, delay(10_000, 'late', { ref: false })])).toBe('closed');
    expect(to.got).toHaveLength(2);
  });
});
