import { styleText } from 'node:util';

const COLOURS = {
  done: 'green',
  ok: 'green',
  failed: 'red',
  fault: 'red',
  held: 'yellow',
  retrying: 'yellow',
  running: 'cyan',
} as const;

/** Columns with a head above them, as `columns` shows them. */
export function table(head: string[], rows: string[][]): string {
  return columns([head, ...rows]);
}

/** Columns as wide as their widest cell; words that name a state are coloured where the terminal can. */
export function columns(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map(row => row[at]?.length ?? 0)));
  return rows.map(row => line(row, widths)).join('\n');
}

function line(row: string[], widths: number[]): string {
  const last = row.findLastIndex(cell => cell !== '');
  return row
    .slice(0, last + 1)
    .map((cell, at) => paint(cell, at === last ? cell : cell.padEnd(widths[at] ?? 0)))
    .join('  ');
}

function paint(word: string, text: string): string {
  const colour = COLOURS[word as keyof typeof COLOURS];
  return colour ? styleText(colour, text, { stream: process.stdout }) : text;
}

/** Local time to the second, as people compare it with other logs. */
export function time(iso: string | null | undefined): string {
  if (!iso) return '–';
  const local = new Date(Date.parse(iso) - new Date(iso).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}
