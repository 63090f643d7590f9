import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { isSecret, schema } from '../src/config.ts';

const PAGE = new URL('../docs/configuration.md', import.meta.url);
const [BEGIN, END] = ['<!-- settings -->', '<!-- /settings -->'];

/** The table of settings, in Markdown, as the schema has them. */
export function settingsTable(): string {
  const rows = Object.entries(schema.shape).map(([name, field]) => {
    const names = isSecret(field) ? `\`${name}\` or \`${name}_FILE\`` : `\`${name}\``;
    const value = defaultOf(field);
    return `| ${names} | ${value ? `\`${value}\`` : '–'} | ${field.description} |`;
  });
  return ['| name | default | meaning |', '|---|---|---|', ...rows].join('\n');
}

/** A page with the table between its markers. */
export function withTable(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`docs/configuration.md has no ${BEGIN} … ${END}`);
  return `${page.slice(0, begin)}${BEGIN}\n${settingsTable()}\n${page.slice(end)}`;
}

/** The text that an unset variable counts as. */
function defaultOf(field: z.core.$ZodType): string | undefined {
  if (field instanceof z.ZodDefault || field instanceof z.ZodPrefault) return String(field.def.defaultValue);
  return field instanceof z.ZodPipe ? defaultOf(field.in) : undefined;
}

if (import.meta.main) {
  if (process.argv.includes('--write')) writeFileSync(PAGE, withTable(readFileSync(PAGE, 'utf8')));
  else console.log(settingsTable());
}
