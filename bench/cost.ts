import { setTimeout as delay } from 'node:timers/promises';
import { freePort, until } from '../test/support/process.ts';
import { startWorld, type World } from '../test/support/world.ts';
import type { Measured, Section } from './measured.ts';
import { hostAgainstCurl } from './parts/host-client.ts';
import { cpuSeconds, residentBytes } from './parts/process-usage.ts';
import { type MeasuredService, startMeasuredService } from './parts/service.ts';
import { median } from './statistics.ts';

const STARTS = 5;
const IDLE_SECONDS = 20;
/** What a start leaves to be done: topic, queue and subscription are looked up, and every part once. */
const SETTLE_SECONDS = 5;
const HOST_RUNS = 10;
const MEBIBYTE = 1024 * 1024;

export const cost: Section = {
  title: 'Cost: all roles in one process, with Redis, Chef server, Nagios, SNS and SQS, and nothing to do',
  async measure(tell) {
    const world = await startWorld({ hosts: ['alive'], queueId: 'bench' });
    try {
      // First, so that what is compiled is kept as it is after the first start on a host.
      const start = await startToReady(world, tell);
      return [...(await idle(world)), start, ...(await hostClient(world))];
    } finally {
      await world.stop();
    }
  },
};

function startAll(world: World, port: number): Promise<MeasuredService> {
  return startMeasuredService({ ...world.env, PORT: String(port), PROVISION: 'true' });
}

async function idle(world: World): Promise<Measured[]> {
  const service = await startAll(world, await freePort());
  try {
    const pid = service.child.pid ?? 0;
    await ready(service.url);
    const started = residentBytes(pid);
    await delay(SETTLE_SECONDS * 1000);
    const before = cpuSeconds(pid);
    await delay(IDLE_SECONDS * 1000);
    const percent = ((cpuSeconds(pid) - before) * 100) / IDLE_SECONDS;
    const memory = { unit: 'MiB', goal: { atMost: 120 } };
    return [
      { what: 'Memory after the start', ours: started / MEBIBYTE, ...memory },
      { what: `Memory after ${IDLE_SECONDS} s`, ours: residentBytes(pid) / MEBIBYTE, ...memory },
      {
        what: `CPU of ${IDLE_SECONDS} idle seconds`,
        ours: percent,
        unit: '% of a core',
        goal: { atMost: 1 },
      },
    ];
  } finally {
    await service.stop();
  }
}

async function startToReady(world: World, tell: (line: string) => void): Promise<Measured> {
  const seconds: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const port = await freePort();
    const begun = performance.now();
    const starting = startAll(world, port);
    await ready(`http://127.0.0.1:${port}`);
    seconds.push((performance.now() - begun) / 1000);
    await (await starting).stop();
  }
  tell(`starts: ${seconds.map(each => each.toFixed(2)).join(', ')} s`);
  return {
    what: `From start to ready, median of ${STARTS}`,
    ours: median(seconds),
    unit: 's',
    goal: { atMost: 1.5 },
  };
}

async function ready(url: string): Promise<void> {
  await until('the service to be ready', async () => (await fetch(`${url}/readyz`)).status === 200);
}

async function hostClient(world: World): Promise<Measured[]> {
  const { host, publish, curls } = await hostAgainstCurl(world, HOST_RUNS);
  const run = { what: `A host's whole run at power-off, median of ${HOST_RUNS}`, ours: host, unit: 'ms' };
  return [
    {
      ...run,
      against: { what: 'curl alone, the same signed publish', value: publish },
      ratio: host / publish,
      goal: { atMost: 1.5 },
    },
    {
      ...run,
      against: { what: 'the curls it needs, one after another: token, credentials, publish', value: curls },
      ratio: host / curls,
    },
    { what: "A host's whole run, less than a second", ours: host / 1000, unit: 's', goal: { atMost: 1 } },
  ];
}
