import type { CallApi } from './api.ts';
import type { Values } from './arguments.ts';
import { CliError } from './error.ts';
import type { Screen } from './progress.ts';

/** What every command is given. */
export interface Given {
  operands: string[];
  values: Values;
  screen: Screen;
}

/** And one that asks a service that runs. */
export interface Context extends Given {
  api: CallApi;
}

/** What a command found: for programs and for people. */
export interface Outcome {
  json: unknown;
  text: string;
  /** Printed besides, on stderr. */
  warning?: string | undefined;
  /** Another than 0 although the command itself came to its end. */
  exitCode?: number;
}

const LARGEST_PAGE = 500;

/** The one operand. @throws CliError `usage` */
export function only({ operands }: Given, what: string): string {
  const [first, ...more] = operands;
  if (first === undefined) throw new CliError('usage', `name ${what}`);
  if (more.length > 0) throw new CliError('usage', `name one, not ${operands.length}: ${operands.join(' ')}`);
  return first;
}

/** @throws CliError `usage` where there are operands */
export function none({ operands }: Given): void {
  if (operands.length > 0) throw new CliError('usage', `nothing can be done with ${operands.join(' ')}`);
}

/** As many as `--limit` asks for, page by page. */
export async function pages<T>(
  { api, values }: Context,
  what: 'jobs' | 'archives',
  filter: Record<string, unknown>,
): Promise<T[]> {
  const limit = Number(values['limit'] ?? 50);
  if (!Number.isInteger(limit) || limit < 1) throw new CliError('usage', '--limit is a number from 1');
  const found: T[] = [];
  for (let cursor: string | null | undefined; cursor !== null && found.length < limit; ) {
    const page = query({ ...filter, limit: Math.min(LARGEST_PAGE, limit - found.length), cursor });
    const answer = await api<Record<string, T[]> & { next: string | null }>('GET', `/${what}?${page}`);
    found.push(...(answer[what] ?? []));
    cursor = answer.next;
  }
  return found;
}

export function query(values: Record<string, unknown>): string {
  const set = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return new URLSearchParams(set).toString();
}
