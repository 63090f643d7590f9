import { styleText } from 'node:util';

const COLOURS = {
  done: 'green',
  ok: 'green',
  failed: 'red',
  held: 'yellow',
  retrying: 'yellow',
  running: 'cyan',
} as const;

/** Columns as wide as their widest cell; words that name a state are coloured where the terminal can. */
export function table(head: string[], rows: string[][]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, at) => Math.max(...lines.map(row => row[at]?.length ?? 0)));
  const last = head.length - 1;
  return lines
    .map(row =>
      row.map((cell, at) => paint(cell, at === last ? cell : cell.padEnd(widths[at] ?? 0))).join('  '),
    )
    .join('\n');
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
