import { type Measured, met } from './measured.ts';

/** The lines of all sections as a Markdown table, ratios first. */
export function table(sections: { title: string; measured: Measured[] }[]): string {
  const rows = sections.flatMap(({ title, measured }) => [`| **${title}** | | | | |`, ...measured.map(row)]);
  return ['| | ratio | goal | ours | against |', '|---|---|---|---|---|', ...rows].join('\n');
}

function row(measured: Measured): string {
  const { what, ours, unit, against, ratio, goal } = measured;
  const cells = [
    what,
    ratio === undefined ? '' : `${figure(ratio)}${met(measured) === false ? ' (missed)' : ''}`,
    goal ? ('atLeast' in goal ? `≥ ${figure(goal.atLeast)}` : `≤ ${figure(goal.atMost)}`) : '',
    `${figure(ours)} ${unit}${ratio === undefined && met(measured) === false ? ' (missed)' : ''}`,
    against ? `${figure(against.value)} ${unit}, ${against.what}` : '',
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Three significant digits, without an exponent. */
function figure(value: number): string {
  return value >= 100
    ? Math.round(value).toLocaleString('en')
    : value.toLocaleString('en', { maximumSignificantDigits: 3 });
}
