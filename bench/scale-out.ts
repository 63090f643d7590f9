import { cpus } from 'node:os';
import type { Measured, Section } from './measured.ts';
import { startFleet } from './parts/fleet.ts';
import { type Ground, standInGround } from './parts/ground.ts';
import { cpuSeconds, idleSeconds } from './parts/process-usage.ts';
import { newTerminations } from './parts/terminations.ts';

const WORKERS = [1, 2, 4] as const;
/** Terminations for each worker, more than it has under way at once. */
const LOADS = [
  { latencyMs: 20, terminations: 192 },
  // Leaves CPU to spare, so that nothing but the service itself could keep it from growing.
  { latencyMs: 200, terminations: 160 },
];
const WARM_UP = 32;
/** Where less than this share of the machine is idle, whoever uses it, the CPU is the limit. */
const TO_SPARE = 0.15;

export const scaleOut: Section = {
  title:
    'Scale-out: worker processes against stand-ins of a Chef server, as many terminations for each of them',
  async measure(tell) {
    const measured: Measured[] = [];
    for (const load of LOADS) measured.push(...(await underLoad(load, tell)));
    return measured;
  },
};

async function underLoad(
  { latencyMs, terminations }: (typeof LOADS)[number],
  tell: (line: string) => void,
): Promise<Measured[]> {
  const ground = await standInGround({ latencyMs, nagios: false });
  try {
    const measured: Measured[] = [];
    let one = 0;
    for (const workers of WORKERS) {
      const { perSecond, cores, idle } = await measureFleet(ground, workers, terminations);
      if (workers === 1) one = perSecond;
      const isLimit = idle < TO_SPARE * cpus().length;
      const used = `${cores.toFixed(1)} of ${cpus().length} cores used, ${idle.toFixed(1)} idle`;
      tell(`${latencyMs} ms, ${workers} workers: ${perSecond.toFixed(1)} terminations/s, ${used}`);
      const what = `${latencyMs} ms of latency, ${workers} ${workers === 1 ? 'worker' : 'workers'}`;
      measured.push({
        what: `${what}; ${isLimit ? 'the CPU is the limit, ' : ''}${used}`,
        ours: perSecond,
        unit: 'terminations/s',
        ...(workers > 1 && {
          against: { what: `${workers} times one worker`, value: workers * one },
          ratio: perSecond / (workers * one),
          ...(!isLimit && { goal: { atLeast: 0.9 } }),
        }),
      });
    }
    return measured;
  } finally {
    await ground.stop();
  }
}

interface Scaled {
  perSecond: number;
  /** CPU seconds that fleet, Redis and stand-ins used in a second. */
  cores: number;
  /** CPU seconds that nobody used in a second. */
  idle: number;
}

async function measureFleet(ground: Ground, workers: number, terminationsOfOne: number): Promise<Scaled> {
  const fleet = await startFleet(workers, ground.env);
  const cpu = () => [...fleet.pids, ...ground.pids].reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const register = async (count: number) => {
    const terminations = newTerminations(count);
    await ground.register(terminations);
    return terminations;
  };
  try {
    await fleet.clear(await register(workers * WARM_UP));
    const terminations = await register(workers * terminationsOfOne);
    await fleet.tell(terminations);
    const before = { at: performance.now(), cpu: cpu(), idle: idleSeconds() };
    const { seconds } = await fleet.work(terminations);
    const took = (performance.now() - before.at) / 1000;
    const [cores, idle] = [(cpu() - before.cpu) / took, (idleSeconds() - before.idle) / took];
    await ground.check();
    return { perSecond: terminations.length / seconds, cores, idle };
  } finally {
    await fleet.stop();
  }
}
