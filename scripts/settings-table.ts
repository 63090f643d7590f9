import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { isSecret, schema } from '../src/config.ts';

const README = new URL('../README.md', import.meta.url);
const [BEGIN, END] = ['<!-- settings -->', '<!-- /settings -->'];

/** The README's table of settings, in Markdown, as the schema has them. */
export function settingsTable(): string {
  const rows = Object.entries(schema.shape).map(([name, field]) => {
    const names = isSecret(field) ? `\`${name}\` or \`${name}_FILE\`` : `\`${name}\``;
    const value = defaultOf(field);
    return `| ${names} | ${value ? `\`${value}\`` : '–'} | ${field.description} |`;
  });
  return ['| name | default | meaning |', '|---|---|---|', ...rows].join('\n');
}

/** A README with the table between its markers. */
export function withTable(readme: string): string {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`README.md has no ${BEGIN} … ${END}`);
  return `${readme.slice(0, begin)}${BEGIN}\n${settingsTable()}\n${readme.slice(end)}`;
}

/** The text that an unset variable counts as. */
function defaultOf(field: z.core.$ZodType): string | undefined {
  if (field instanceof z.ZodDefault || field instanceof z.ZodPrefault) return String(field.def.defaultValue);
  return field instanceof z.ZodPipe ? defaultOf(field.in) : undefined;
}

if (import.meta.main) {
  if (process.argv.includes('--write')) writeFileSync(README, withTable(readFileSync(README, 'utf8')));
  else console.log(settingsTable());
}
