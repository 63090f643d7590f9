import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { describe } from '../domain/errors.ts';
import { isInstanceId } from '../domain/identifiers.ts';
import { CliError } from './error.ts';

/**
 * Reads the ids of all living instances.
 * @param path of the list, or `-` for standard input
 * @throws CliError `usage`, also for an empty list: a command that failed prints nothing, and then all nodes would be orphaned
 */
export async function readLiving(path: string, stdin: NodeJS.ReadableStream): Promise<Set<string>> {
  const list = await (path === '-' ? text(stdin) : readFile(path, 'utf8')).catch((error: unknown) => {
    const why = describe(error);
    throw new CliError('usage', `the list of living instances ${path} cannot be read: ${why}`);
  });
  const living = parseLiving(list);
  if (living.size > 0) return living;
  throw new CliError('usage', `the list of living instances ${path} is empty: give the ids of all of them`);
}

/**
 * Reads instance ids separated by white space or commas. Brackets and quotes of JSON are skipped, so that what the AWS CLI
 * prints can be given as it is.
 * @throws CliError `usage` with the first word that is not an instance id
 */
export function parseLiving(list: string): Set<string> {
  const living = new Set<string>();
  for (const [at, line] of list.split('\n').entries()) {
    for (const word of line.split(/[\s,"'[\]]+/).filter(Boolean)) {
      if (isInstanceId(word)) living.add(word);
      else throw notAnId(word, at + 1);
    }
  }
  return living;
}

function notAnId(word: string, line: number): CliError {
  const what = JSON.stringify(word.slice(0, 40));
  return new CliError(
    'usage',
    `the list of living instances has ${what} in line ${line}; it is not an instance id`,
  );
}
