import { parseArgs } from 'node:util';
import { runChaos } from '../test/support/chaos/chaos.ts';
import { setup } from '../test/support/clean.ts';
import { everyCall } from './chaos-every-call.ts';

const USAGE = `Usage: npm run chaos -- [--seed N] [--terminations N] [--seconds N]
       npm run chaos -- --every-call [--only delete|host-delete|ensure] [--cell PLAN:CALL:FAULT:MOMENT]... [--at-once N] [--pause SECONDS]

Without --every-call: hosts die while processes, Redis, Chef and Nagios fail at random; exits 1 if something is lost.

  --seed N         repeats the choices of an earlier run
  --terminations N       number of hosts that die (default 300)
  --seconds N      how long things go wrong (default 75)

  --every-call     stops a worker before and after every call that it makes, by kill -9 and by a pause, while a new
                   machine registers under the same name; exits 1 if that machine is harmed
  --only PLAN      tries one plan
  --cell CELL      tries one cell, such as delete:7:pause:after; may be repeated
  --at-once N      number of cells that run side by side (default 4)
  --pause SECONDS  how long a pause lasts, at least until another worker has the job (default 30)
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    terminations: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '75' },
    'every-call': { type: 'boolean', default: false },
    only: { type: 'string' },
    cell: { type: 'string', multiple: true, default: [] },
    'at-once': { type: 'string', default: '4' },
    pause: { type: 'string', default: '30' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
setup();
const began = Date.now();
const tell = (what: string) =>
  console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${what}`);

if (values['every-call']) {
  const isWell = await everyCall({
    only: values.only,
    cells: values.cell,
    atOnce: Number(values['at-once']),
    pauseSeconds: Number(values.pause),
    tell,
  });
  process.exit(isWell ? 0 : 1);
}

const seed = Number(values.seed);
const report = await runChaos({
  seed,
  terminations: Number(values.terminations),
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
