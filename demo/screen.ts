import type { Job } from '../src/domain/job.ts';

/** What the demo shows: a heading for each act, a line for each thing that happens. */
const colour = process.stdout.isTTY
  ? (code: number, text: string) => `\u001b[${code}m${text}\u001b[0m`
  : (_: number, text: string) => text;

const started = Date.now();

export function act(title: string): void {
  console.log(`\n${colour(1, title)}`);
}

export function line(text: string): void {
  const seconds = ((Date.now() - started) / 1000).toFixed(1).padStart(5);
  console.log(`${colour(2, `${seconds} s`)}  ${text}`);
}

export function good(text: string): void {
  line(`${colour(32, '✓')} ${text}`);
}

export function bad(text: string): void {
  line(`${colour(31, '✗')} ${text}`);
}

export function table(jobs: Job[]): void {
  const rows = jobs.map(job => [job.kind, job.node ?? '–', job.instanceId ?? '–', job.source, job.state]);
  const widths = [0, 1, 2, 3, 4].map(at => Math.max(...rows.map(row => row[at]?.length ?? 0)));
  for (const row of rows) line(row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '));
}

/** A line for each step and outcome that the service logs. */
export function showLog(text: string): void {
  const entry = parse(text);
  const node = entry['node'] ?? entry['instanceId'] ?? '';
  const note = entry['note'] ? ` – ${entry['note']}` : '';
  if (entry['step']) line(`  ${node}: ${entry['step']} ${entry['state']}${note}`);
  else if (/^(event|job|chef-client run)/.test(String(entry['msg']))) {
    line(`  ${[node, entry['msg'], entry['source'] && `by ${entry['source']}`].filter(Boolean).join(' ')}`);
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
