import { parseArgs } from 'node:util';
import { runChaos } from '../test/chaos/chaos.ts';
import { setup } from '../test/parts/clean.ts';

/** Usage: npm run chaos -- [--seed N] [--deaths N] [--seconds N]. Exits 1 where something was lost. */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    deaths: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '75' },
  },
});
setup();
const seed = Number(values.seed);
const began = Date.now();
const tell = (what: string) =>
  console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${what}`);

const report = await runChaos({
  seed,
  deaths: Number(values.deaths),
  seconds: Number(values.seconds),
  rounds: 3,
  pauseMs: 500,
  longestMs: 3_000,
  patienceMs: 150_000,
  tell,
});
const kills = [...report.faults].filter(([name]) => name.startsWith('kill'));
console.log(`\nseed ${seed}`);
for (const [name, times] of [...report.faults].sort()) console.log(`${String(times).padStart(5)}  ${name}`);
console.log(`${String(kills.reduce((sum, [, times]) => sum + times, 0)).padStart(5)}  kills in all`);
console.log(`${String(report.deliveriesRepeated).padStart(5)}  deliveries made again`);
console.log(`${String(report.attemptsRepeated).padStart(5)}  attempts of jobs made again`);
console.log(`${String(report.runs).padStart(5)}  runs of chef-client`);
console.log(`${String(report.losses.length).padStart(5)}  losses`);
for (const loss of report.losses) console.log(`       ${loss}`);
process.exit(report.losses.length > 0 ? 1 : 0);
