import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { setup } from '../test/support/clean.ts';
import { cost } from './cost.ts';
import { door } from './door.ts';
import { growth } from './growth.ts';
import type { Measured, Section } from './measured.ts';
import { mirror } from './mirror.ts';
import { reaction } from './reaction.ts';
import { scaleOut } from './scale-out.ts';
import { table } from './table.ts';
import { work } from './work.ts';

/** In the order in which they run: the quiet ones first. */
const SECTIONS: Record<string, Section> = {
  cost,
  reaction,
  door,
  mirror,
  work,
  'scale-out': scaleOut,
  growth,
};

const file = (path: string) => new URL(`../${path}`, import.meta.url).pathname;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
});
const unknown = positionals.find(name => !Object.hasOwn(SECTIONS, name));
if (unknown !== undefined) {
  console.error(`no section ${unknown}; there are ${Object.keys(SECTIONS).join(', ')}`);
  process.exit(2);
}

setup();

const LIMIT_SECONDS = 480;

const begun = Date.now();
const seconds = () => Math.round((Date.now() - begun) / 1000);
setTimeout(() => {
  console.log(`\n${table(done)}`);
  console.error(`not done after ${LIMIT_SECONDS} s: what is missing takes longer here`);
  process.exit(1);
}, LIMIT_SECONDS * 1000).unref();

const done: { title: string; measured: Measured[] }[] = [];
for (const [name, { title, measure }] of Object.entries(SECTIONS)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  console.error(`${seconds()} s  ${title}`);
  done.push({ title, measured: await measure(line => console.error(`${seconds()} s    ${line}`)) });
}

const machine = `${cpus().length} cores, Node ${process.versions.node}`;
const result = `${table(done)}\n\nMeasured on ${machine}, in ${seconds()} s.`;
console.log(`\n${result}`);
if (values.write) {
  const page = readFileSync(file('docs/benchmarks.md'), 'utf8');
  const marked = /(?<=<!-- benchmark -->\n).*?(?=<!-- \/benchmark -->)/s;
  writeFileSync(
    file('docs/benchmarks.md'),
    page.replace(marked, () => `${result}\n`),
  );
  mkdirSync(file('docs'), { recursive: true });
  const json = { at: new Date().toISOString(), machine, seconds: seconds(), sections: done };
  writeFileSync(file('docs/benchmark.json'), `${JSON.stringify(json, undefined, 2)}\n`);
}
