/**
 * What a year of terminations leaves in Redis: `npm run bench:redis -- [--per-day 10000] [--days 365] [--job-days 90]`.
 *
 * Each termination goes through the scripts that the service runs, in a real Redis whose TIME is that of a simulated day.
 * What Redis expires by itself after 400 days is therefore still there at the end.
 */
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import type { InboundEvent } from '../src/domain/event.ts';
import { type RunScript, scriptText } from '../src/jobs/scripts.ts';
import { JobStore } from '../src/jobs/store.ts';
import { startRedis } from '../test/support/redis.ts';

const { values } = parseArgs({
  options: {
    'per-day': { type: 'string', default: '10000' },
    days: { type: 'string', default: '365' },
    'job-days': { type: 'string', default: '90' },
  },
});
const perDay = Number(values['per-day']);
const days = Number(values.days);
const jobDays = Number(values['job-days']);

const DAY_MS = 86_400_000;
const START = Date.parse('2026-01-01T00:00:00Z');
const PREFIX = '{year}';
const AT_ONCE = 200;
const LOCK = { key: 'lock', value: 'mine', ms: 86_400_000 };

/** The time of the simulated day is the last argument. */
const CLOCK = `
local real, clock = redis, tonumber(table.remove(ARGV))
local redis = {
  pcall = real.pcall,
  sha1hex = real.sha1hex,
  call = function(name, ...)
    if name == 'TIME' then return { tostring(math.floor(clock / 1000)), tostring(clock % 1000 * 1000) } end
    return real.call(name, ...)
  end,
}
`;

const server = await startRedis({ appendonly: 'no' });
const redis = new Redis(server.url, { enableAutoPipelining: true });
let now = START;

type Command = (...args: (string | number)[]) => Promise<unknown>;
const commands = redis as unknown as Record<string, Command>;
const defined = new Set<string>();
const run: RunScript = (name, ...args) => {
  if (!defined.has(name)) redis.defineCommand(name, { numberOfKeys: 1, lua: CLOCK + scriptText(name) });
  defined.add(name);
  return (commands[name] as Command)(PREFIX, ...args, now);
};
const store = new JobStore(redis, run, PREFIX);
await redis.set(`${PREFIX}:${LOCK.key}`, LOCK.value);

const HOST = 'ip-10-11-12-13.eu-west-1.compute.internal';

/** As a job of a real deletion has them. */
const STEPS = {
  find: 'node ip-10-11-12-13.eu-west-1.compute.internal is instance i-0123456789abcdef0',
  guard: 'AWS says that it ended',
  downtime: 'host ip-10-11-12-13.eu-west-1.compute.internal and its services, for 120 minutes',
  archive: 'ip-10-11-12-13.eu-west-1.compute.internal/2026-01-01T00-00-00.000Z-01a218bf-3188-7c21-a3b8.json',
  'delete-client': undefined,
  'delete-node': undefined,
  verify: 'node and client are gone',
  'complete-lifecycle': undefined,
  'confirm-downtime': 'Nagios shows it',
};
const FACTS = {
  inChef: true,
  fqdn: HOST,
  addresses: ['10.11.12.13', HOST],
  instance: 'i-0123456789abcdef0',
  region: 'eu-west-1',
  account: '123456789012',
  clientKeys: ['SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU'],
  lastSeen: START,
  downtime: {
    host: HOST,
    submittedAt: '2026-01-01T00:00:00.000Z',
    end: '2026-01-01T02:00:00.000Z',
    seen: true,
  },
};
async function terminate(n: number): Promise<void> {
  const instanceId = `i-${n.toString(16).padStart(17, '0')}`;
  const at = new Date(now);
  const news: InboundEvent = {
    event: { kind: 'instance-ended', notice: 'terminated', instanceId },
    source: 'sqs',
    place: 'aws',
    messageId: instanceId,
    publishedAt: at,
    saidAt: at,
  };
  const { tokens } = await store.accept(news, 'delete');
  const token = tokens[0] ?? '';
  await redis.zrem(`${PREFIX}:outbox`, token);
  const job = await store.begin(token, 'w', LOCK);
  if (!job || job === 'lost') throw new Error(`job ${token} did not begin`);
  await store.claimNode(job, `ip-${n}.eu-west-1.compute.internal`);
  const steps = Object.entries(STEPS).flatMap(([name, note]) => [
    `step:${name}`,
    JSON.stringify({ name, state: 'done', at, note }),
  ]);
  await run('note', job.id, `${job.run}:w`, ...steps, 'facts', JSON.stringify(FACTS));
  await store.mayChange(job, LOCK, false);
  await store.move(job, ['running'], 'done', { result: 'deleted', finishedAt: at.toISOString() });
}

async function usedBytes(): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
}

const began = performance.now();
const empty = await usedBytes();
const removals: number[] = [];
let before = empty;
let reported = 0;
let n = 0;
console.log(`${perDay} terminations a day; records stay ${jobDays} days\n`);
console.log('day    terminations   MB in Redis   bytes a day   bytes a termination, since the line before');
try {
  for (let day = 1; day <= days; day++) {
    for (let left = perDay; left > 0; left -= AT_ONCE) {
      now = START + day * DAY_MS - Math.floor((left / perDay) * DAY_MS);
      await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, () => terminate(n++)));
    }
    await redis.del(`${PREFIX}:trigger:uncovered`);
    for (let more = true; more; ) {
      const start = performance.now();
      more = await store.forget(jobDays * DAY_MS);
      removals.push(performance.now() - start);
    }
    if (day % 30 === 0 || day === days || day === jobDays) {
      const used = await usedBytes();
      const perTermination = (used - before) / (n - reported);
      const cells = [
        day,
        n,
        ((used - empty) / 1e6).toFixed(0),
        (perTermination * perDay).toFixed(0),
        perTermination.toFixed(0),
      ];
      console.log(cells.map((cell, at) => String(cell).padStart([3, 15, 14, 14, 16][at] ?? 0)).join(''));
      [before, reported] = [used, n];
    }
  }
  removals.sort((one, other) => one - other);
  const [median, p99, longest] = [0.5, 0.99, 1].map(part =>
    removals[Math.ceil(part * removals.length) - 1]?.toFixed(1),
  );
  console.log(
    `\none call that removes records, at the client: median ${median}, 99 % ${p99}, longest ${longest} ms`,
  );
  console.log(`took ${((performance.now() - began) / 1000).toFixed(0)} s`);
} finally {
  redis.disconnect();
  await server.stop();
}
